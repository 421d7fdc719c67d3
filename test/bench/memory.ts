/**
 * Speed and size of the repository memory with the shipped model: `node test/bench/memory.ts`. A memory of a million
 * tokens is filled with replicated real segments: the files of this repository, encoded once and stored again under
 * other names. What is measured on such a memory is measured in a process of its own, so that nothing is warm but the
 * operating system's file cache.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { RepositoryFile } from "../../engine/memory/repository-memory.ts";
import { loadTokenizerFolder } from "../../engine/models/tokenizer/folder.ts";
import { defaultModelDir } from "../../engine/paths.ts";
import { HybridDecoder } from "../../engine/runtime/hybrid.ts";
import { HybridReader } from "../../engine/runtime/hybrid-reader.ts";
import { encodeSources, openStore } from "../own-sources.ts";
import { atLeast, atMost, median, type Row, ratios, spread, told } from "./rows.ts";

const SMALL_TOKENS = 10_000;
const LARGE_TOKENS = 1_000_000;
const ROUNDS = 7;

const options = { nThreads: 2 };
const PLACE = { path: "new.ts", head: "", cursorLine: 1, firstLine: 1, lastLine: 1 };

/** Stores segments under other names until the memory has `nTokens`. */
async function replicate(dir: string, files: readonly RepositoryFile[], nTokens: number): Promise<RepositoryFile[]> {
  const { store, model } = openStore(dir);
  const { blockSize, routeSize } = model.config;
  const all: RepositoryFile[] = [];
  let sum = 0;
  for (let copy = 0; ; copy++) {
    for (const file of files) {
      if (sum >= nTokens) return all;
      const opened = store.open(store.idOf(file.contentHash));
      if (!opened) throw new Error(`${file.path} is not encoded`);
      const { segment, landmarks, ids } = opened;
      const replica = { ...file, path: `${copy}/${file.path}`, contentHash: `${copy} ${file.contentHash}` };
      const writer = store.write(store.idOf(replica.contentHash), segment.nTokens);
      for (let block = 0; block * blockSize < segment.nTokens; block++) {
        writer.append({
          tokens: segment.read(block),
          ids: [...ids.subarray(block * blockSize, (block + 1) * blockSize)],
          landmark: landmarks.subarray(block * routeSize, (block + 1) * routeSize),
          ...segment.lines(block),
        });
      }
      await writer.commit();
      sum += segment.nTokens;
      all.push(replica);
    }
  }
}

async function timed(work: () => unknown): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}

async function medianMs(work: (round: number) => unknown): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) times.push(await timed(() => work(round)));
  return median(times);
}

interface Opened {
  readonly reopenMs: number;
  readonly clusterMs: number;
  readonly selectMs: number;
  readonly readBlocksMs: number;
  /** Per memory, the small one first, and round. */
  readonly firstTokenMs: readonly (readonly number[])[];
  readonly decodeMs: readonly (readonly number[])[];
  readonly rssBytes: number;
}

/** What is measured in a process of its own: two memories of these files are opened and asked in turn. */
async function measureOpened(dir: string, lists: readonly (readonly RepositoryFile[])[]): Promise<Opened> {
  const opened = lists.map(() => openStore(dir));
  const { model } = opened[0];
  const { config } = model;
  const tokenizer = loadTokenizerFolder(defaultModelDir);
  const decoder = await HybridDecoder.open(model, options);
  const [small, large] = opened.map(({ memory }) => memory);
  await small.update(lists[0]);
  const reopenMs = await timed(() => large.update(lists[1]));
  // The memory is in use from here on; meanwhile its clusters are made.
  const clusterMs = await timed(() => opened[1].index.settled());
  const query = (round: number) => {
    const x = Float32Array.from({ length: config.routeSize }, (_, i) => Math.sin(1 + round * 12.9898 + i * 78.233));
    return x.map((value) => value / Math.hypot(...x));
  };
  const text = readFileSync(fileURLToPath(import.meta.url), "utf8");
  const ids = tokenizer.encode(text);
  const asked = (round: number) => ({
    query: query(round),
    heads: [1.7, 2.3].map((step) =>
      Float32Array.from({ length: config.hiddenSize }, (_, i) => 0.3 * Math.sin(round + step * i)),
    ),
    tokens: ids.slice(50 * round, 50 * round + 64),
  });
  const choosing = large.memoryFor(PLACE);
  await medianMs((round) => choosing?.select(asked(round)));
  const selectMs = await medianMs((round) => choosing?.select(asked(round + ROUNDS)));
  // Blocks that no round before has read.
  const readBlocksMs = await medianMs((round) => {
    for (let i = 0; i < config.routeTopBlocks; i++) large.read((round * config.routeTopBlocks + i) % large.nBlocks);
  });
  const firstTokens: number[][] = [[], []];
  const decodes: number[][] = [[], []];
  for (let round = 0; round <= ROUNDS; round++) {
    // In turn, so that other load on the machine falls on both.
    for (const [i, memory] of [small, large].entries()) {
      const reader = new HybridReader(decoder);
      const seen = memory.memoryFor(PLACE);
      const part = ids.slice(round * 100, round * 100 + 64);
      const firstMs = await timed(() => reader.readText(part, { memory: seen }));
      const decodeMs = await timed(async () => {
        for (const id of ids.slice(round * 100 + 64, round * 100 + 96)) {
          part.push(id);
          await reader.readText(part, { memory: seen });
        }
      });
      // The first round warms up.
      if (round === 0) continue;
      firstTokens[i].push(firstMs);
      decodes[i].push(decodeMs / 32);
    }
  }
  const rssBytes = process.memoryUsage.rss();
  await decoder.close();
  return {
    ...{ reopenMs, clusterMs, selectMs, readBlocksMs, rssBytes },
    firstTokenMs: firstTokens,
    decodeMs: decodes,
  };
}

async function inChild(dir: string, lists: readonly (readonly RepositoryFile[])[]): Promise<Opened> {
  const file = join(dir, "files.json");
  writeFileSync(file, JSON.stringify(lists));
  const args = ["--disable-warning=ExperimentalWarning", fileURLToPath(import.meta.url), "opened", dir, file];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout) as Opened;
}

/** Measures the memory; takes about a minute. */
export async function benchMemory(): Promise<Row[]> {
  const dir = mkdtempSync(join(tmpdir(), "longsight-bench-"));
  try {
    const { model, store, encoder, files, result } = await encodeSources(dir);
    await encoder.close();
    const { tokensEncoded, ms } = result;
    const sizeBytes = files.reduce((sum, { contentHash }) => {
      const id = store.idOf(contentHash);
      return sum + statSync(join(dir, id.slice(0, 2), `${id}.segment`)).size;
    }, 0);
    const bytesPerToken = sizeBytes / tokensEncoded;
    const large = await replicate(dir, files, LARGE_TOKENS);
    const opened = await inChild(dir, [await replicate(dir, files, SMALL_TOKENS), large]);
    const [firstSmall, firstLarge] = opened.firstTokenMs;
    const [decodeSmall, decodeLarge] = opened.decodeMs;
    const { layers, headSize, hiddenSize, name } = model.config;
    const replicated = "1M tokens of replicated real segments";
    const rows = [
      atLeast("encoding, files to disk", (1000 * tokensEncoded) / ms, "tokens/s", 6700),
      told("bytes per token on disk", bytesPerToken, "bytes"),
      atLeast(
        "dense f16 keys and values of every layer / bytes on disk",
        (layers.length * 2 * hiddenSize * 2) / bytesPerToken,
        "x",
        4,
      ),
      told("f16 keys and values of the memory layer alone / bytes on disk", (2 * headSize * 2) / bytesPerToken, "x"),
      atMost(`re-opening ${replicated}`, opened.reopenMs, "ms", 1000),
      told(`making clusters behind other work, ${replicated}`, opened.clusterMs, "ms"),
      atMost(`choosing blocks once, their keys read, ${replicated}`, opened.selectMs, "ms", 5),
      told(`reading the blocks of one choice, ${replicated}`, opened.readBlocksMs, "ms"),
      spread(
        atMost(
          `first token of 64 tokens, ${replicated} against 10K`,
          median(firstLarge) / median(firstSmall),
          "x",
          1.3,
        ),
        ratios(firstLarge, firstSmall),
      ),
      spread(told(`first token of 64 tokens, ${replicated}`, median(firstLarge), "ms"), firstLarge),
      spread(
        atLeast(`decoding speed, ${replicated} against 10K`, median(decodeSmall) / median(decodeLarge), "x", 0.9),
        ratios(decodeSmall, decodeLarge),
      ),
      told(`decoding, ${replicated}`, 1000 / median(decodeLarge), "tokens/s"),
      atMost(`RSS of the process, ${replicated}`, opened.rssBytes / 2 ** 20, "MiB", 1600),
    ];
    return rows.map((row) => ({ ...row, name: `memory (${name}): ${row.name}` }));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const [mode, dir, list] = process.argv.slice(2);
  const result =
    mode === "opened"
      ? await measureOpened(dir, JSON.parse(readFileSync(list, "utf8")) as RepositoryFile[][])
      : await benchMemory();
  console.log(JSON.stringify(result, null, 2));
}

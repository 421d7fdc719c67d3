/**
 * `npm run eval -- memory --repos DIR [--limit N] [--json]`: what the repository memory is worth to the shipped model.
 *
 * From every bare repository DIR/OWNER+NAME/repo lines of source files are held out, the cursor at each one's first
 * character with the file's text on both sides. Each line is read three times: without memory, with the memory of the
 * other files of its repository (never its own file), and with a stranger's; bits are of the line's bytes. Completions
 * are made without and with the own memory.
 */

import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { completeAt, completionPrompt } from "../../engine/complete/complete.ts";
import type { CursorContext } from "../../engine/complete/context.ts";
import { LongsightError } from "../../engine/errors.ts";
import { ExactIndex } from "../../engine/memory/block-index.ts";
import { Checkpoints } from "../../engine/memory/checkpoints.ts";
import { EncodingJob } from "../../engine/memory/encoding-job.ts";
import { type RepositoryFile, RepositoryMemory } from "../../engine/memory/repository-memory.ts";
import { memoryFingerprint, SegmentStore } from "../../engine/memory/segment-store.ts";
import { openHybrid } from "../../engine/models/hybrid.ts";
import { MEMORY_CLASSES } from "../../engine/models/hybrid-config.ts";
import { loadTokenizerFolder } from "../../engine/models/tokenizer/folder.ts";
import type { Tokenizer } from "../../engine/models/types.ts";
import { defaultModelDir } from "../../engine/paths.ts";
import { groupQuery, HybridDecoder } from "../../engine/runtime/hybrid.ts";
import { HybridEncoder } from "../../engine/runtime/hybrid-encoder.ts";
import { type MemoryBlock, memoryTokens } from "../../engine/runtime/hybrid-memory.ts";
import { HybridReader } from "../../engine/runtime/hybrid-reader.ts";
import type { RoutedMemory } from "../../engine/runtime/hybrid-routing.ts";
import { readContent } from "../../engine/workspace/content.ts";
import { median } from "../bench/rows.ts";
import { isNonTestSource } from "./pool.ts";
import { progressBar } from "./progress.ts";
import { Snapshot } from "./snapshot.ts";

const READERS = ["none", "own", "stranger"] as const;
type ReaderName = (typeof READERS)[number];

/** Bits per byte by reader. */
export type Bits = Record<ReaderName, number>;

export interface MemoryResult {
  readonly model: string;
  readonly repositories: number;
  readonly lines: number;
  readonly memoryTokens: number;
  readonly bitsPerByte: Bits;
  /** Of lines with a name that their own file has nowhere else and another file of the repository has. */
  readonly crossFile: { readonly lines: number; readonly bitsPerByte: Bits };
  /** Completions whose first line is the line that was held out, and the time of each, the prompt read anew. */
  readonly completions: Record<"none" | "own", { exactLines: number; promptMs: number; totalMs: number }>;
  /** The attention that the chosen blocks get under dense attention, of what the best as many get. */
  readonly massRecall: number;
  /** The attention to blocks' first tokens, by what an even share would be. */
  readonly firstTokens: number;
  /** The share of all attention that memory gets with the own memory, at the last token of a run. */
  readonly memoryMass: number;
  /** Choices of blocks for each run of the model. */
  readonly refreshesPerLook: number;
}

export interface MemoryOptions {
  readonly repos: string;
  /** Lines in all. */
  readonly limit?: number;
}

const LINES = 200;
const LINES_PER_FILE = 2;
/** A repository's memory holds so much text at most. */
const MEMORY_BYTES = 1_500_000;
/** Blocks that are attended to densely, for the recall, at one of so many lines. */
const DENSE_BLOCKS = 200;
const DENSE_EVERY = 5;
const COMPLETION_TOKENS = 48;
const MIN_LINE_CHARS = 16;
const options = { nThreads: 2 };

export interface Repository {
  readonly name: string;
  readonly files: ReadonlyMap<string, RepositoryFile & { readonly text: string }>;
  /** In how many files each name stands. */
  readonly names: ReadonlyMap<string, number>;
}

/** A repository with its memory. */
export interface Remembered {
  readonly repository: Repository;
  readonly memory: RepositoryMemory;
}

export interface HeldOut {
  readonly context: CursorContext;
  readonly line: string;
  readonly isCrossFile: boolean;
}

/** The same numbers in every run: a linear congruential generator, 0 .. 1. */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, key: random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}

const NAME = /[A-Za-z_]\w{3,}/g;
const namesIn = (text: string) => new Set(text.match(NAME) ?? []);

/** The files of a repository's newest commit, in random order, up to `maxBytes` of text. */
export async function readRepository(
  gitDir: string,
  name: string,
  random: () => number,
  maxBytes = MEMORY_BYTES,
): Promise<Repository> {
  const snapshot = new Snapshot(gitDir);
  try {
    const commit = await snapshot.resolve("HEAD");
    if (commit === undefined) throw new LongsightError("not-found", `${gitDir} has no HEAD.`);
    const files = new Map<string, RepositoryFile & { text: string }>();
    const names = new Map<string, number>();
    let sum = 0;
    for (const { path, blob, sizeBytes } of shuffled(await snapshot.files(commit), random)) {
      if (!isNonTestSource(path) || sizeBytes > 100_000 || sum + sizeBytes > maxBytes) continue;
      const content = readContent(await snapshot.read(blob));
      if (content.skipped !== null) continue;
      sum += sizeBytes;
      files.set(path, { path, contentHash: blob, sizeBytes, text: content.text });
      for (const one of namesIn(content.text)) names.set(one, (names.get(one) ?? 0) + 1);
    }
    return { name, files, names };
  } finally {
    snapshot.close();
  }
}

/** Lines with some content, from files with some lines. */
export function heldOutLines({ files, names }: Repository, n: number, random: () => number): HeldOut[] {
  const chosen: HeldOut[] = [];
  for (const { path, text } of shuffled([...files.values()], random)) {
    const lines = text.split("\n");
    if (lines.length < 30) continue;
    const candidates = [...lines.keys()].filter((i) => i > 0 && lines[i].trim().length >= MIN_LINE_CHARS);
    for (const i of shuffled(candidates, random).slice(0, LINES_PER_FILE)) {
      const line = lines[i].trim();
      const indent = lines[i].slice(0, lines[i].indexOf(line));
      const prefix = `${lines.slice(0, i).join("\n")}\n${indent}`;
      const suffix = `\n${lines.slice(i + 1).join("\n")}`;
      const elsewhere = namesIn(`${prefix} ${suffix}`);
      const isCrossFile = [...namesIn(line)].some((one) => !elsewhere.has(one) && (names.get(one) ?? 0) > 1);
      chosen.push({ context: { path, prefix, suffix }, line, isCrossFile });
      if (chosen.length === n) return chosen;
    }
  }
  return chosen;
}

/** The bits a reader needs for the line after the prompt. */
async function bitsOf(
  reader: HybridReader,
  tokenizer: Tokenizer,
  prompt: readonly number[],
  line: string,
  memory: RoutedMemory | undefined,
): Promise<number> {
  let bits = 0;
  const ids = [...prompt];
  for (const id of tokenizer.encode(line)) {
    const logits = await reader.readText(ids, { memory });
    const max = logits.reduce((a, b) => Math.max(a, b));
    const sum = logits.reduce((total, logit) => total + Math.exp(logit - max), 0);
    bits -= (logits[id] - max - Math.log(sum)) / Math.LN2;
    ids.push(id);
  }
  return bits;
}

export interface Dense {
  /** The share of the best blocks' attention that the routed ones get. */
  readonly recall: number;
  /** The attention to the blocks' first tokens, by what they would get of an even share: above 1 they act as sinks. */
  readonly firstTokens: number;
}

/** Some blocks of a memory, the same in every run, their places in the list by number, and their tokens. */
export function someBlocks(memory: RepositoryMemory) {
  const places = new Map<number, number>();
  const blocks: MemoryBlock[] = [];
  for (const block of shuffled([...memory.blocks()], randomNumbers(11)).slice(0, DENSE_BLOCKS)) {
    const tokens = memory.read(block);
    if (!tokens) continue;
    places.set(block, blocks.length);
    blocks.push({ tokens, start: 0, end: tokens.keys.scales.length, class: MEMORY_CLASSES.indexOf("other") });
  }
  return { places, blocks, dense: memoryTokens(blocks, memory.router.config.headSize) };
}

/** Attention [nHeads, nKeys] as its mean over the heads, [nKeys]. */
export function meanOverHeads(attention: Float32Array, nHeads: number): Float32Array {
  const nKeys = attention.length / nHeads;
  const mean = new Float32Array(nKeys);
  for (const [at, weight] of attention.entries()) mean[at % nKeys] += weight / nHeads;
  return mean;
}

/** What attention looks like when many blocks are seen at once. */
export async function denseAttention(
  decoder: HybridDecoder,
  memory: RepositoryMemory,
  prompt: readonly number[],
): Promise<Dense> {
  const { routeSize, routeGroup, routeTopBlocks, blockSize, nHeads } = decoder.config;
  const { places, blocks, dense } = someBlocks(memory);
  const state = decoder.start();
  const before = prompt.slice(0, -routeGroup);
  for (let start = 0; start < before.length; start += blockSize) {
    await decoder.read(state, before.slice(start, start + blockSize), { memory: dense });
  }
  const { queries, attention } = await decoder.read(state, prompt.slice(-routeGroup), { memory: dense });
  const weights = meanOverHeads(attention, nHeads);
  let [at, first] = [0, 0];
  const mass = blocks.map(({ end }) => {
    const own = sum(weights.subarray(at, at + end));
    first += weights[at];
    at += end;
    return own;
  });
  const best = [...mass].sort((a, b) => b - a).slice(0, routeTopBlocks);
  const routed = memory.top(groupQuery(queries, routeSize, routeGroup), routeTopBlocks, (block) => places.has(block));
  const recall = sum(routed.map(({ block }) => mass[places.get(block) ?? 0])) / sum(best);
  return { recall, firstTokens: first / sum(mass) / (blocks.length / at) };
}

export const sum = (values: Iterable<number>) => Iterator.from(values).reduce((a, b) => a + b, 0);
export const mean = (values: readonly number[]) => sum(values) / values.length;

const rounded = (value: number) => Number(value.toFixed(4));

/** Runs the evaluation. Errors: a LongsightError where there are no repositories. */
export async function evaluateMemory({ repos, limit = LINES }: MemoryOptions): Promise<MemoryResult> {
  const names = existsSync(repos) ? readdirSync(repos).filter((name) => existsSync(join(repos, name, "repo"))) : [];
  if (names.length < 2) {
    throw new LongsightError("not-found", `${repos} holds fewer than two repositories OWNER+NAME/repo; give a folder.`);
  }
  const dir = mkdtempSync(join(tmpdir(), "longsight-eval-memory-"));
  const model = openHybrid(defaultModelDir);
  const { config } = model;
  const tokenizer = loadTokenizerFolder(defaultModelDir);
  const encoder = await HybridEncoder.open(model, tokenizer, options);
  const decoder = await HybridDecoder.open(model, options);
  const { contextLength } = new HybridReader(decoder);
  const log = (line: string) => console.error(line);
  const fingerprint = memoryFingerprint(model, defaultModelDir);
  const store = new SegmentStore(dir, { fingerprint, shape: config, quotaBytes: 2 ** 40, log });
  const random = randomNumbers(1);
  const bits = { all: noBits(), cross: noBits() };
  const completions = { none: new Completions(), own: new Completions() };
  const dense: Dense[] = [];
  const mass: number[] = [];
  const refreshes: number[] = [];
  let [nTokens, nLines] = [0, 0];
  try {
    const reading = progressBar("Encoding", names.length);
    const opened: { repository: Repository; memory: RepositoryMemory }[] = [];
    for (const name of names) {
      const repository = await readRepository(join(repos, name, "repo"), name, random);
      const memory = new RepositoryMemory(model, store, new ExactIndex(config.routeSize));
      await memory.update(repository.files.values());
      const read = async ({ path }: RepositoryFile) => repository.files.get(path)?.text;
      const checkpoints = new Checkpoints(store, encoder);
      const deps = { memory, store, encoder, tokenizer, checkpoints, read, log };
      await new EncodingJob({ ...deps, turn: (run) => run() }).run();
      nTokens += memory.nTokens;
      opened.push({ repository, memory });
      reading.increment();
    }
    reading.stop();
    const bar = progressBar("Lines", limit);
    for (const [i, { repository, memory }] of opened.entries()) {
      const stranger = opened[(i + 1) % opened.length].memory;
      const share = Math.ceil((limit - nLines) / (opened.length - i));
      for (const { context, line, isCrossFile } of heldOutLines(repository, share, random)) {
        await memory.update([...repository.files.values()].filter(({ path }) => path !== context.path));
        const { ids, place } = completionPrompt(contextLength, tokenizer, context, COMPLETION_TOKENS);
        const sources = { none: undefined, own: memory.memoryFor(place), stranger: stranger.memoryFor(place) };
        const nBytes = Buffer.byteLength(line);
        bits.all.bytes += nBytes;
        if (isCrossFile) {
          bits.cross.bytes += nBytes;
          bits.cross.lines++;
        }
        for (const name of READERS) {
          const reader = new HybridReader(decoder);
          if (name !== "stranger") {
            const repositoryContext = name === "own" ? { memoryFor: () => sources.own } : undefined;
            const completion = await completeAt(reader, tokenizer, context, {
              maxTokens: COMPLETION_TOKENS,
              repository: repositoryContext,
            });
            completions[name].add(completion.text.split("\n")[0].trim() === line, completion.timingsMs);
          }
          const needed = await bitsOf(reader, tokenizer, ids, line, sources[name]);
          bits.all[name] += needed;
          if (isCrossFile) bits.cross[name] += needed;
        }
        for (const { blocks, refreshes: n, looks } of sources.own?.trace().layers ?? []) {
          mass.push(sum(blocks.map((block) => block.mass)));
          refreshes.push(n / looks);
        }
        if (nLines % DENSE_EVERY === 0) dense.push(await denseAttention(decoder, memory, ids));
        nLines++;
        bar.increment();
      }
    }
    bar.stop();
  } finally {
    await encoder.close();
    await decoder.close();
    rmSync(dir, { recursive: true, force: true });
  }
  return {
    model: config.name,
    repositories: names.length,
    lines: nLines,
    memoryTokens: nTokens,
    bitsPerByte: perByte(bits.all),
    crossFile: { lines: bits.cross.lines, bitsPerByte: perByte(bits.cross) },
    completions: { none: completions.none.summary(), own: completions.own.summary() },
    massRecall: rounded(mean(dense.map(({ recall }) => recall))),
    firstTokens: rounded(mean(dense.map((one) => one.firstTokens))),
    memoryMass: rounded(mean(mass)),
    refreshesPerLook: rounded(mean(refreshes)),
  };
}

const noBits = () => ({ none: 0, own: 0, stranger: 0, bytes: 0, lines: 0 });

function perByte({ none, own, stranger, bytes }: ReturnType<typeof noBits>): Bits {
  return { none: rounded(none / bytes), own: rounded(own / bytes), stranger: rounded(stranger / bytes) };
}

class Completions {
  #exact = 0;
  readonly #prompt: number[] = [];
  readonly #total: number[] = [];

  add(isExact: boolean, { prompt, total }: { prompt: number; total: number }): void {
    if (isExact) this.#exact++;
    this.#prompt.push(prompt);
    this.#total.push(total);
  }

  summary() {
    return {
      exactLines: rounded(this.#exact / Math.max(this.#total.length, 1)),
      promptMs: Math.round(median(this.#prompt) || 0),
      totalMs: Math.round(median(this.#total) || 0),
    };
  }
}

/** The result as a table. */
export function formatMemory(result: MemoryResult): string {
  const bits = (name: string, { none, own, stranger }: Bits) =>
    `${name.padEnd(34)}${[none, own, stranger].map((value) => value.toFixed(3).padStart(10)).join("")}${change(own, none)}`;
  const { completions: c } = result;
  const pair = (name: string, none: number, own: number) =>
    `${name.padEnd(34)}${String(none).padStart(10)}${String(own).padStart(10)}`;
  return [
    `${result.model}: ${result.lines} lines of ${result.repositories} repositories, ${result.memoryTokens} tokens in memory`,
    `${"".padEnd(34)}${READERS.map((name) => name.padStart(10)).join("")}`,
    bits("bits per byte, all lines", result.bitsPerByte),
    bits(`bits per byte, ${result.crossFile.lines} cross-file lines`, result.crossFile.bitsPerByte),
    pair("exact lines", c.none.exactLines, c.own.exactLines),
    pair("prompt, ms (median)", c.none.promptMs, c.own.promptMs),
    pair("completion, ms (median)", c.none.totalMs, c.own.totalMs),
    `attention to memory: ${result.memoryMass}`,
    `mass recall of the routed blocks: ${result.massRecall}`,
    `attention to blocks' first tokens, of an even share: ${result.firstTokens}`,
    `choices of blocks for each run: ${result.refreshesPerLook}`,
  ].join("\n");
}

const change = (own: number, none: number) => `   ${((100 * (own - none)) / none).toFixed(1)} %`;

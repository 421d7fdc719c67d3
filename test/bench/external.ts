/**
 * Loading, prefill and decoding of an external model in the shape of Qwen2.5-0.5B (random Q4_0 weights), against llama.cpp
 * with the same file, on two threads. Both take turns within each round, so that other load on the machine falls on both.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { openModel } from "../../engine/models/open-model.ts";
import { Decoder } from "../../engine/runtime/decoder.ts";
import { Sampler } from "../../engine/runtime/sampler.ts";
import { Llama } from "./llama.ts";
import { makeRandomModel } from "./make-random-model.ts";
import { atLeast, atMost, median, type Row, told } from "./rows.ts";

const options = { nThreads: 2 };

/** Tokens of one timed stretch of decoding, and of one prefill. */
const DECODE_TOKENS = 16;
const PREFILL_TOKENS = 512;

/** Threads that wait awake for their next work do so for less than this; the other side is measured after it. */
const PAUSE_MS = 100;

/** One side of the comparison: reads ids behind the first nPast, and says the likeliest next one. */
type Read = (ids: readonly number[], nPast: number) => Promise<number>;

const textOf = (n: number) => Array.from({ length: n }, (_, i) => (i * 7919) % 100_000);

interface LoadFigures {
  readonly ms: number;
  readonly peakBytes: number;
}

/** All rows; `nRounds` is how often each stretch is timed. Needs the tokenizer data that the random model is made with. */
export async function benchExternal(nRounds: number): Promise<Row[]> {
  const dir = mkdtempSync(join(tmpdir(), "longsight-bench-"));
  try {
    const path = join(dir, "random.gguf");
    makeRandomModel(path);
    process.env.LONGSIGHT_CACHE = join(dir, "cache");
    const first = loadInOwnProcess(path);
    const later = loadInOwnProcess(path);
    const ofFile = (bytes: number) => bytes / statSync(path).size;
    return [
      atMost("0.5B Q4_0: first conversion and load", first.ms / 1000, "s", 30),
      atMost("0.5B Q4_0: later load", later.ms / 1000, "s", 3),
      atMost("0.5B Q4_0: peak memory while converting / file", ofFile(first.peakBytes), "x", 2),
      atMost("0.5B Q4_0: peak memory of load, prefill and decode / file", ofFile(later.peakBytes), "x", 2),
      ...(await compareWithLlama(path, nRounds)),
    ];
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function loadInOwnProcess(path: string): LoadFigures {
  const script = fileURLToPath(import.meta.url);
  return JSON.parse(execFileSync(process.execPath, [script, path], { encoding: "utf8" })) as LoadFigures;
}

/** Loads, reads a prompt and generates, in a process that has done nothing else. */
async function load(path: string): Promise<LoadFigures> {
  const start = performance.now();
  const model = await openModel(path);
  const decoder = await Decoder.open(model, options);
  const ms = performance.now() - start;
  const text = textOf(PREFILL_TOKENS);
  for (let at = 0; at < text.length; at += 256) await decoder.run(text.slice(at, at + 256), at, []);
  for (let i = 0; i < DECODE_TOKENS; i++) await decoder.run([1], text.length + i, [0]);
  return { ms, peakBytes: process.resourceUsage().maxRSS * 1024 };
}

async function compareWithLlama(path: string, nRounds: number): Promise<Row[]> {
  const llama = await Llama.open(path, { ...options, contextLength: 2048 });
  const model = await openModel(path);
  const decoder = await Decoder.open(model, options);
  const sampler = new Sampler();
  const ours: Read = async (ids, nPast) => sampler.next(await decoder.run(ids, nPast, [ids.length - 1]), []);
  const theirs = llama && ((ids: readonly number[], nPast: number) => llama.read(ids, nPast));
  const sides = theirs === undefined ? [ours] : [ours, theirs];
  const decode: number[][] = sides.map(() => []);
  const prefill: number[][] = sides.map(() => []);
  for (let round = 0; round < nRounds; round++) {
    for (const [side, read] of sides.entries()) {
      await sleep(PAUSE_MS);
      await read(textOf(8), 0);
      const prefillMs = await timed(() => read(textOf(PREFILL_TOKENS), 0));
      prefill[side].push((1000 * PREFILL_TOKENS) / prefillMs);
      let id = await read(textOf(8), 0);
      const decodeMs = await timed(async () => {
        for (let i = 0; i < DECODE_TOKENS; i++) id = await read([id], 8 + i);
      });
      decode[side].push((1000 * DECODE_TOKENS) / decodeMs);
    }
  }
  await decoder.close();
  model.close();
  await llama?.close();

  const rows: Row[] = [];
  for (const [what, speeds, target] of [
    ["decode at depth 0", decode, 0.85],
    [`prefill of ${PREFILL_TOKENS} at depth 0`, prefill, 1],
  ] as const) {
    const [own, other] = speeds.map(median);
    const [ownBest, otherBest] = speeds.map((values) => Math.max(...values));
    rows.push(told(`0.5B Q4_0: ${what}`, own, "tokens/s"));
    if (other === undefined) continue;
    rows.push(told(`llama.cpp: ${what}`, other, "tokens/s"));
    rows.push(atLeast(`0.5B Q4_0: ${what} / llama.cpp, medians`, own / other, "x", target));
    // Threads of llama.cpp wait for each other, so foreign load hurts it more: the best rounds tell of an idle machine.
    rows.push(told(`0.5B Q4_0: ${what} / llama.cpp, best rounds`, ownBest / otherBest, "x"));
  }
  return rows;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

if (import.meta.main) console.log(JSON.stringify(await load(process.argv[2])));

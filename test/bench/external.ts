/**
 * Loading, prefill and decoding of an external model in the shape of Qwen2.5-0.5B (random Q4_0 weights), against llama.cpp
 * with the same file, on two threads. Both take turns within each round, so that other load on the machine falls on both.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type AttentionPlan, exactPlan, fastPlan } from "../../engine/attention/plan.ts";
import { openModel } from "../../engine/models/open-model.ts";
import type { DecoderConfig } from "../../engine/models/types.ts";
import { Decoder } from "../../engine/runtime/decoder.ts";
import { Sampler } from "../../engine/runtime/sampler.ts";
import { Llama, randomHalves } from "./llama.ts";
import { makeRandomModel } from "./make-random-model.ts";
import { atLeast, atMost, median, type Row, ratios, spread, told } from "./rows.ts";

const options = { nThreads: 2 };

/** Tokens of one timed stretch of decoding, and of one prefill. */
const DECODE_TOKENS = 16;
const PREFILL_TOKENS = 512;

const RUN_TOKENS = 128;

/** Tokens placed at once where a context is filled with random ones; divides every depth. */
const FILL_TOKENS = 1024;

/** Threads that wait awake for their next work do so for less than this; the other side is measured after it. */
const PAUSE_MS = 100;

/** One side of the comparison: reads ids behind the first nPast, and says the likeliest next one. */
type Read = (ids: readonly number[], nPast: number) => Promise<number>;

const textOf = (n: number) => Array.from({ length: n }, (_, i) => (i * 7919) % 100_000);

interface LoadFigures {
  readonly ms: number;
  readonly peakBytes: number;
}

/** Depths in tokens, and how many times faster than llama.cpp the preset `fast` should decode there. */
const DEPTHS = { quick: [[4096, 1.3]], full: [[4096, 1.3], [32_768, 6], [131_072, 25]] } as const; // biome-ignore format: one row

/** All rows. Needs the tokenizer data that the random model is made with. */
export async function benchExternal(mode: "quick" | "full"): Promise<Row[]> {
  const nRounds = mode === "quick" ? 8 : 24;
  const dir = mkdtempSync(join(tmpdir(), "longsight-bench-"));
  try {
    const path = join(dir, "random.gguf");
    makeRandomModel(path);
    process.env.LONGSIGHT_CACHE = join(dir, "cache");
    const first = loadInOwnProcess(path);
    const later = loadInOwnProcess(path);
    const deep: Row[] = [];
    for (const [depth, target] of DEPTHS[mode]) deep.push(...(await compareAtDepth(path, depth, nRounds / 2, target)));
    const ofFile = (bytes: number) => bytes / statSync(path).size;
    return [
      atMost("0.5B Q4_0: first conversion and load", first.ms / 1000, "s", 30),
      atMost("0.5B Q4_0: later load", later.ms / 1000, "s", 3),
      atMost("0.5B Q4_0: peak memory while converting / file", ofFile(first.peakBytes), "x", 2),
      atMost("0.5B Q4_0: peak memory of load, prefill and decode / file", ofFile(later.peakBytes), "x", 2),
      ...(await compareAtStart(path, nRounds)),
      ...deep,
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
  await readPrompt(decoder, text, 0);
  for (let i = 0; i < DECODE_TOKENS; i++) await decoder.run([1], text.length + i, [0]);
  return { ms, peakBytes: process.resourceUsage().maxRSS * 1024 };
}

/** In runs as long as DecoderReader makes them at the beginning of a text; the logits behind the last id. */
async function readPrompt(decoder: Decoder, ids: readonly number[], nPast: number): Promise<Float32Array> {
  let at = 0;
  for (; at + RUN_TOKENS < ids.length; at += RUN_TOKENS) {
    await decoder.run(ids.slice(at, at + RUN_TOKENS), nPast + at, []);
  }
  return decoder.run(ids.slice(at), nPast + at, [ids.length - at - 1]);
}

/** Both sides on the same file; without llama.cpp only ours. */
interface Sides {
  readonly ours: Read;
  readonly theirs: Read | undefined;
  close(): Promise<void>;
}

/** `depth`: both begin with so many tokens of random keys and values. */
async function openSides(path: string, preset: (config: DecoderConfig) => AttentionPlan, depth = 0): Promise<Sides> {
  const llama = await Llama.open(path, { ...options, contextLength: depth + 2048 });
  const model = await openModel(path);
  const { config } = model;
  const decoder = await Decoder.open(model, { ...options, plan: preset(config) });
  if (depth > 0) {
    const rows = randomHalves(config.nLayers * config.nKvHeads * FILL_TOKENS * config.headSize);
    for (let at = 0; at < depth; at += FILL_TOKENS) decoder.place(at, { n: FILL_TOKENS, keys: rows, values: rows });
    await llama?.fill(depth, config, dirname(path));
  }
  const sampler = new Sampler();
  return {
    ours: async (ids, nPast) => sampler.next(await readPrompt(decoder, ids, nPast), []),
    theirs: llama && ((ids, nPast) => llama.read(ids, nPast)),
    close: async () => {
      await decoder.close();
      model.close();
      await llama?.close();
    },
  };
}

/** Speeds in tokens per second of both sides, one per round. */
type Speeds = readonly [ours: number[], theirs: number[]];

async function inTurns({ ours, theirs }: Sides, nRounds: number, stretch: Stretch): Promise<Speeds> {
  const speeds: Speeds = [[], []];
  for (let round = 0; round < nRounds; round++) {
    for (const [side, read] of [ours, theirs].entries()) {
      if (read === undefined) continue;
      await sleep(PAUSE_MS);
      speeds[side].push(await stretch(read));
    }
  }
  return speeds;
}

/** Does some work and tells its tokens per second. */
type Stretch = (read: Read) => Promise<number>;

const decoding =
  (depth: number): Stretch =>
  async (read) => {
    let id = await read([1], depth);
    const ms = await timed(async () => {
      for (let i = 1; i <= DECODE_TOKENS; i++) id = await read([id], depth + i);
    });
    return (1000 * DECODE_TOKENS) / ms;
  };

const prefilling: Stretch = async (read) => {
  await read(textOf(8), 0);
  return (1000 * PREFILL_TOKENS) / (await timed(() => read(textOf(PREFILL_TOKENS), 0)));
};

/** Rows of one comparison. Without llama.cpp only our own speed is told. */
function rowsOf(what: string, [ours, theirs]: Speeds, target: number): Row[] {
  const own = spread(told(`0.5B Q4_0: ${what}`, median(ours), "tokens/s"), ours);
  if (theirs.length === 0) return [own];
  return [
    own,
    spread(told(`llama.cpp: ${what}`, median(theirs), "tokens/s"), theirs),
    spread(
      atLeast(`0.5B Q4_0: ${what} / llama.cpp, medians`, median(ours) / median(theirs), "x", target),
      ratios(ours, theirs),
    ),
    // Threads of llama.cpp wait for each other, so foreign load hurts it more: the best rounds tell of an idle machine.
    told(`0.5B Q4_0: ${what} / llama.cpp, best rounds`, Math.max(...ours) / Math.max(...theirs), "x"),
  ];
}

async function compareAtStart(path: string, nRounds: number): Promise<Row[]> {
  const sides = await openSides(path, exactPlan);
  for (const read of [sides.ours, sides.theirs]) await read?.(textOf(16), 0);
  const decode = await inTurns(sides, nRounds, decoding(16));
  const prefill = await inTurns(sides, nRounds, prefilling);
  await sides.close();
  return [
    ...rowsOf("decode at depth 0, exact", decode, 0.95),
    ...rowsOf(`prefill of ${PREFILL_TOKENS} at depth 0, exact`, prefill, 1),
  ];
}

async function compareAtDepth(path: string, depth: number, nRounds: number, target: number): Promise<Row[]> {
  const sides = await openSides(path, fastPlan, depth);
  const speeds = await inTurns(sides, nRounds, decoding(depth));
  await sides.close();
  return rowsOf(`decode at depth ${depth / 1024}K, fast`, speeds, target);
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

if (import.meta.main) console.log(JSON.stringify(await load(process.argv[2])));

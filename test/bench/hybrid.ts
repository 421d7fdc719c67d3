/**
 * Speed of the default model at a given size, with random weights: `node test/bench/hybrid.ts [tiny|small|base]`.
 * Prints JSON; medians. Every figure is of this machine at this moment.
 */
import { type HybridModel, openHybrid } from "../../engine/models/hybrid.ts";
import { type HybridConfig, type HybridLayer, hybridTensors } from "../../engine/models/hybrid-config.ts";
import type { FloatMatrix, Tokenizer, Weights } from "../../engine/models/types.ts";
import { defaultModelDir } from "../../engine/paths.ts";
import { HybridDecoder } from "../../engine/runtime/hybrid.ts";
import { HybridEncoder } from "../../engine/runtime/hybrid-encoder.ts";
import { median } from "./rows.ts";

const layers = (pattern: string): HybridLayer[] => [...pattern].map((c) => (c === "L" ? "lightning" : "retrieval"));
const retrieval = (pattern: string) => ({ landmarkLayer: pattern.indexOf("R"), memoryLayer: pattern.lastIndexOf("R") });
const FIXED = { window: 256, blockSize: 64, routeSize: 32, routeGroup: 16, routeTopBlocks: 8, normEps: 1e-6 };
const NO_TEXT = { suffixTokens: 128, trainedLength: 1024, specialTokens: {} };

function size(name: string, vocabSize: number, hiddenSize: number, ffnSize: number, pattern: string, gateRank: number) {
  const shape = { vocabSize, hiddenSize, ffnSize, gateRank, nHeads: 4, headSize: hiddenSize / 4 };
  const config = { name, ...shape, layers: layers(pattern), ...retrieval(pattern), ...FIXED, ...NO_TEXT };
  return [name, config] as const;
}

const SIZES: ReadonlyMap<string, HybridConfig> = new Map([
  size("tiny", 4096, 128, 320, "LLRLRL", 32),
  size("small", 8192, 192, 448, "LLLRLLRL", 48),
  size("base", 8192, 256, 576, "LLLLLRLLLRLL", 64),
]);

function randomModel(config: HybridConfig): HybridModel {
  const tensors = new Map<string, FloatMatrix>();
  for (const { name, shape } of hybridTensors(config)) {
    const [rows, cols] = shape.length === 2 ? shape : [1, shape[0]];
    const data = Float32Array.from({ length: rows * cols }, () => (Math.random() - 0.5) / Math.sqrt(cols));
    tensors.set(name, { kind: "f32", rows, cols, data: name.endsWith("decay") ? data.map(Math.abs) : data });
  }
  const matrix = (name: string) => tensors.get(name)!;
  const has = (name: string) => tensors.has(name);
  const weights: Weights = { fingerprint: "", has, matrix, vector: (name) => matrix(name).data, close: () => {} };
  return { config, weights };
}

/** The figures are of ids, not of text. */
const NO_TOKENIZER: Tokenizer = {
  ...{ vocabSize: 0, bosId: undefined, stopIds: [] },
  encode: () => [],
  bytes: () => new Uint8Array(),
  decode: () => "",
  id: () => undefined,
};

async function timed<T>(work: () => Promise<T>): Promise<[ms: number, result: T]> {
  const start = performance.now();
  const result = await work();
  return [performance.now() - start, result];
}

async function measure(decoder: HybridDecoder, encoder: HybridEncoder) {
  const ids = (n: number) => Array.from({ length: n }, (_, i) => 64 + ((i * 7919) % 4000));
  const times: Record<string, number[]> = {};
  const add = (name: string, value: number) => {
    times[name] ??= [];
    times[name].push(value);
  };
  // Each round measures every figure once, so that other load on the machine falls on all of them.
  for (let round = 0; round < 5; round++) {
    const speeds = new Map<number, number>();
    for (const n of [1024, 4096, 16384]) {
      const [ms] = await timed(() => decoder.read(decoder.start(), ids(n)));
      speeds.set(n, (1000 * n) / ms);
      add(`prefillTokensPerSecondAt${n}`, (1000 * n) / ms);
    }
    add("prefillRatio16384To1024", speeds.get(16384)! / speeds.get(1024)!);
    const state = decoder.start();
    await decoder.read(state, ids(512));
    for (const n of [16, 64, 256]) {
      const [ms] = await timed(() => decoder.read(state, ids(n)));
      add(`call${n}TokensMs`, ms);
    }
    const [encodeMs] = await timed(() => encoder.encode(ids(4096)));
    add("encodeTokensPerSecond", (1000 * 4096) / encodeMs);
    const [spanMs] = await timed(() => encoder.encode(ids(96)));
    add("encodeSpanMs", spanMs);
    const [ms] = await timed(async () => {
      for (let i = 0; i < 100; i++) await decoder.read(state, [100 + i]);
    });
    add("decodeTokensPerSecond", 100_000 / ms);
  }
  return Object.fromEntries(
    Object.entries(times).map(([name, values]) => [name, Number(median(values).toPrecision(3))]),
  );
}

/** Measures a size of the model; throws for a size that does not exist. */
export async function benchHybrid(name: string): Promise<Record<string, unknown>> {
  const config = SIZES.get(name);
  if (config === undefined) throw new Error(`unknown size ${name}; use one of ${[...SIZES.keys()].join(", ")}`);
  const model = randomModel(config);
  const options = { nThreads: 2 };
  const [openMs, decoder] = await timed(() => HybridDecoder.open(model, options));
  const encoder = await HybridEncoder.open(model, NO_TOKENIZER, options);
  const figures = await measure(decoder, encoder);
  await decoder.close();
  await encoder.close();
  const [shippedMs, shipped] = await timed(() => HybridDecoder.open(openHybrid(defaultModelDir), options));
  await shipped.close();
  return {
    size: name,
    openMs: Math.round(openMs),
    openShippedModelMs: Math.round(shippedMs),
    ...figures,
  };
}

if (import.meta.main) console.log(JSON.stringify(await benchHybrid(process.argv[2] ?? "base"), null, 2));

/** One run of HyperAttention as a graph of its own, beside dense attention in plain loops. */
import type { Heads } from "../engine/attention/heads.ts";
import { type HyperPlan, hyperAttention } from "../engine/attention/hyper.ts";
import { GraphBuilder } from "../engine/onnx/graph.ts";
import { hyperInputs } from "../engine/runtime/hyper-inputs.ts";
import { createSession, Tensor } from "../engine/runtime/session.ts";

/** Keys and values are [nKvHeads, nPast + n, headSize], the run's own behind those before it; queries [n, nHeads, headSize]. */
export interface RunData {
  readonly heads: Heads;
  readonly nPast: number;
  readonly n: number;
  readonly queries: Float32Array;
  readonly keys: Float32Array;
  readonly values: Float32Array;
}

/** Numbers of a normal distribution, the same for the same seed. */
export function normal(n: number, seed: number): Float32Array {
  let state = (seed * 2654435761) >>> 0;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 1) / (2 ** 32 + 1);
  };
  return Float32Array.from({ length: n }, () => Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next()));
}

export function randomRun(heads: Heads, nPast: number, n: number, seed: number): RunData {
  const size = heads.nKvHeads * (nPast + n) * heads.headSize;
  return {
    ...{ heads, nPast, n },
    queries: normal(n * heads.nHeads * heads.headSize, seed),
    keys: normal(size, seed + 1),
    values: normal(size, seed + 2),
  };
}

/** Mixed values [n, nHeads, headSize]. */
export async function runHyper(plan: HyperPlan, run: RunData): Promise<Float32Array> {
  const session = await openHyper(plan, run);
  const mixed = await session.run();
  await session.close();
  return mixed;
}

/** The same, to be run again and again. */
export async function openHyper(plan: HyperPlan, { heads, nPast, n, queries, keys, values }: RunData, nThreads = 1) {
  const { nHeads, nKvHeads, headSize } = heads;
  const graph = new GraphBuilder();
  const feeds: Record<string, Tensor> = {};
  const input = (name: string, data: Float32Array, shape: number[]) => {
    feeds[name] = new Tensor("float32", data, shape);
    return graph.input(name, "float32", shape);
  };
  const part = (x: Float32Array, from: number, to: number) => {
    const row = (nPast + n) * headSize;
    const rows = new Float32Array(nKvHeads * (to - from) * headSize);
    for (let head = 0; head < nKvHeads; head++) {
      const own = x.subarray(head * row + from * headSize, head * row + to * headSize);
      rows.set(own, head * own.length);
    }
    return rows;
  };
  const rows = input("q", queries, [1, n, nHeads * headSize]);
  const kv = (name: string, from: number, to: number) => ({
    keys: input(`${name}.keys`, part(keys, from, to), [nKvHeads, to - from, headSize]),
    values: input(`${name}.values`, part(values, from, to), [nKvHeads, to - from, headSize]),
  });
  const [cached, own] = [{ ...kv("past", 0, nPast), type: "float32" } as const, kv("own", nPast, nPast + n)];
  const { is_far: _, ...all } = hyperInputs(plan, nPast, n, nHeads / nKvHeads, true);
  const declared = (name: keyof typeof all) => {
    feeds[name] = all[name];
    return graph.input(name, all[name].type as "float32" | "int64", all[name].dims);
  };
  const inputs = {
    ...{ middleEnd: declared("hyper.middle_end"), nPast: declared("hyper.past") },
    ...{ rowsPerBlock: declared("hyper.rows_per_block"), samples: declared("hyper.samples") },
    ...{ sampleBias: declared("hyper.sample_bias"), spread: declared("hyper.spread"), pick: declared("hyper.pick") },
    ...{ exactBias: declared("hyper.exact_bias"), sizes: declared("hyper.sizes") },
  };
  const mixed = hyperAttention(graph, { q: rows, k: rows, v: rows }, own, cached, inputs, heads, plan);
  const [out] = graph.nodes("Identity", [mixed], ["out"]);
  graph.output(out, "float32", [1, n, nHeads * headSize]);
  const session = await createSession(graph.build(), { nThreads });
  const mixedValues = async () => (await session.run(feeds)).out.data as Float32Array;
  return { run: mixedValues, close: () => session.release() };
}

/** What a query attends to, and how much is added to each score. */
export type Keys = readonly { readonly key: number; readonly bias: number }[];

/** Mixed values [n, nHeads, headSize] in plain loops; by default every query attends to all keys up to its own. */
export function plainAttention(
  { heads, nPast, n, queries, keys, values }: RunData,
  keysOf: (kvHead: number, query: number, token: number) => Keys = (_head, _query, token) =>
    Array.from({ length: nPast + token + 1 }, (_, key) => ({ key, bias: 0 })),
): Float32Array {
  const { nHeads, nKvHeads, headSize } = heads;
  const nGroup = nHeads / nKvHeads;
  const out = new Float32Array(n * nHeads * headSize);
  for (let token = 0; token < n; token++) {
    for (let head = 0; head < nHeads; head++) {
      const kvHead = Math.floor(head / nGroup);
      const from = kvHead * (nPast + n) * headSize;
      const q = (token * nHeads + head) * headSize;
      const scored = keysOf(kvHead, token * nGroup + (head % nGroup), token).map(({ key, bias }) => {
        let dot = 0;
        for (let c = 0; c < headSize; c++) dot += queries[q + c] * keys[from + key * headSize + c];
        return { key, score: dot / Math.sqrt(headSize) + bias };
      });
      const max = scored.reduce((most, { score }) => Math.max(most, score), Number.NEGATIVE_INFINITY);
      const sum = scored.reduce((total, { score }) => total + Math.exp(score - max), 0);
      for (const { key, score } of scored) {
        const share = Math.exp(score - max) / sum;
        for (let c = 0; c < headSize; c++) out[q + c] += share * values[from + key * headSize + c];
      }
    }
  }
  return out;
}

/** Methods whose figures need no model, on the workloads that their notes name: part of `npm run eval -- methods`. */
import { severalTokens } from "../../engine/attention/dense.ts";
import { evenChunks, treeSearch } from "../../engine/attention/hierarchy.ts";
import { ExactIndex } from "../../engine/memory/block-index.ts";
import { ClusteredIndex } from "../../engine/memory/clustered-index.ts";
import { GraphIndex } from "../../engine/memory/graph-index.ts";
import { GraphBuilder } from "../../engine/onnx/graph.ts";
import { createSession, Tensor } from "../../engine/runtime/session.ts";
import { atLeast, atMost, median, type Row, told } from "../bench/rows.ts";
import { openHyper, plainAttention, randomRun } from "../hyper-run.ts";
import { randomNumbers } from "./memory.ts";

export async function evaluateSyntheticMethods(): Promise<Row[]> {
  return [...hip(), ...(await retrievalAttention()), ...(await hyperError()), ...(await hyperTime())];
}

function gaussian(seed: number): () => number {
  const random = randomNumbers(seed);
  return () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

const vector = (size: number, next: () => number) => Float32Array.from({ length: size }, next);
const unit = (x: Float32Array) => x.map((value) => value / Math.hypot(...x));
const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, x, i) => sum + x * b[i], 0);

/** Keys that resemble their neighbours, with a correlation of 0.99 along the text. */
function hip(): Row[] {
  const [n, size, correlation, nQueries] = [4096, 64, 0.99, 20];
  const next = gaussian(3);
  const keys = [vector(size, next)];
  while (keys.length < n) {
    const last = keys[keys.length - 1];
    keys.push(last.map((x) => correlation * x + Math.sqrt(1 - correlation ** 2) * next()));
  }
  return [64, 512].flatMap((k) => {
    let [found, best, nScored] = [0, 0, 0];
    for (let i = 0; i < nQueries; i++) {
      const query = vector(size, next);
      const weights = keys.map((key) => Math.exp(dot(query, key) / Math.sqrt(size)));
      const tree = treeSearch(evenChunks(n, k), k, (key) => dot(query, keys[key]));
      nScored += tree.nScored / nQueries;
      found += tree.keys.reduce((sum, key) => sum + weights[key], 0);
      best += [...weights]
        .sort((a, b) => b - a)
        .slice(0, k)
        .reduce((a, b) => a + b, 0);
    }
    return [
      atLeast(`HiP: mass of the ${k} keys found of ${n} over the best ${k}`, found / best, "", 0.9),
      atMost(`HiP: keys scored for them`, nScored, "", 2 * k * Math.log2(n / k)),
    ];
  });
}

const SIZES = [8192, 32_768, 131_072];

/** Low-rank keys with an offset; queries have another mean and covariance. */
async function retrievalAttention(): Promise<Row[]> {
  const [size, rank, k] = [32, 12, 100];
  const next = gaussian(7);
  const basis = Array.from({ length: rank }, () => unit(vector(size, next)));
  const offsets = [unit(vector(size, next)), unit(vector(size, next))];
  const spread = basis.map(() => 0.3 + Math.abs(next()));
  const sample = (offset: Float32Array, weights: readonly number[], noise: number) => {
    const x = offset.slice();
    for (const [j, direction] of basis.entries()) {
      const weight = weights[j] * next();
      for (let i = 0; i < size; i++) x[i] += weight * direction[i];
    }
    return unit(x.map((value) => value + noise * next()));
  };
  const ones = basis.map(() => 1);
  const query = () =>
    sample(
      offsets[1].map((x) => 1.5 * x),
      spread,
      0,
    );
  const rows: Row[] = [];
  const compared: number[] = [];
  for (const n of SIZES) {
    const keys = new Float32Array(n * size);
    for (let i = 0; i < n; i++) keys.set(sample(offsets[0], ones, 0.2), i * size);
    const exact = new ExactIndex(size);
    const graph = new GraphIndex(size);
    const lists = new ClusteredIndex(size);
    for (let i = 0; i < 1000; i++) graph.top(query(), 1);
    for (const index of [exact, graph, lists]) index.add(keys);
    await graph.settled();
    await lists.settled();
    const asking = Array.from({ length: 50 }, query);
    const best = asking.map((one) => new Set(exact.top(one, k).map(({ block }) => block)));
    for (const [name, index] of [
      ["the graph", graph],
      ["cluster lists (IVF)", lists],
    ] as const) {
      const before = index.nCompared;
      let found = 0;
      for (const [i, one] of asking.entries()) {
        found += index.top(one, k).filter(({ block }) => best[i].has(block)).length;
      }
      const scored = (index.nCompared - before) / asking.length;
      if (index === graph) compared.push(scored);
      const recall = `RetrievalAttention: recall@${k} of ${name} over ${n} keys`;
      rows.push(
        index === graph
          ? atLeast(recall, found / k / asking.length, "", 0.95)
          : told(recall, found / k / asking.length, ""),
      );
      rows.push(told(`RetrievalAttention: keys scored by ${name} for it`, scored, ""));
    }
  }
  const exponent = Math.log(compared[2] / compared[0]) / Math.log(SIZES[2] / SIZES[0]);
  rows.push(
    atMost("RetrievalAttention: the graph's keys scored grow with this power of their number", exponent, "", 0.5),
  );
  return rows;
}

async function hyperError(): Promise<Row[]> {
  const run = randomRun({ nHeads: 1, nKvHeads: 1, headSize: 16 }, 64 + 256 + 4096, 64, 9);
  const dense = plainAttention(run);
  const errors: number[] = [];
  for (const samples of [128, 512, 2048]) {
    const session = await openHyper({ fromTokens: 0, block: 64, samples }, run);
    const found = await session.run();
    await session.close();
    errors.push(Math.sqrt(found.reduce((sum, x, i) => sum + (x - dense[i]) ** 2, 0)));
  }
  return [
    atLeast("HyperAttention: error over that with four times the samples", Math.sqrt(errors[0] / errors[2]), "x", 1.7),
  ];
}

/** The first runs of a session ask the system for their memory, which the runs of a prompt do once; rounds in turns. */
const [WARM_UP, ROUNDS] = [2, 11];

/** One layer's attention of a run of 256 tokens, heads as in a model of half a billion weights. */
async function hyperTime(): Promise<Row[]> {
  const heads = { nHeads: 14, nKvHeads: 2, headSize: 64 };
  const n = 256;
  const rows: Row[] = [];
  for (const nPast of [8192, 16_384, 32_768]) {
    const run = randomRun(heads, nPast, n, 4);
    const hyper = await openHyper({ fromTokens: 0, block: 256, samples: 768 }, run, 2);
    const dense = await openDense(nPast, n, heads);
    const [ofHyper, ofDense]: [number[], number[]] = [[], []];
    for (let i = 0; i < WARM_UP + ROUNDS; i++) {
      const [hyperMs, denseMs] = [await timeMs(hyper.run), await timeMs(dense.run)];
      if (i < WARM_UP) continue;
      ofHyper.push(hyperMs);
      ofDense.push(denseMs);
    }
    await hyper.close();
    await dense.close();
    const ratio = median(ofDense) / median(ofHyper);
    rows.push(told(`HyperAttention: one layer, a run of ${n} tokens behind ${nPast}`, median(ofHyper), "ms"));
    rows.push(atLeast(`HyperAttention: dense time over it behind ${nPast}`, ratio, "x", 1));
  }
  return rows;
}

async function timeMs(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

async function openDense(nPast: number, n: number, heads: { nHeads: number; nKvHeads: number; headSize: number }) {
  const { nHeads, nKvHeads, headSize } = heads;
  const graph = new GraphBuilder();
  const feeds: Record<string, Tensor> = {};
  const next = gaussian(1);
  const input = (name: string, shape: number[]) => {
    feeds[name] = new Tensor(
      "float32",
      vector(
        shape.reduce((a, b) => a * b),
        next,
      ),
      shape,
    );
    return graph.input(name, "float32", shape);
  };
  const rows = {
    q: input("q", [1, n, nHeads * headSize]),
    k: input("k", [1, n, nKvHeads * headSize]),
    v: input("v", [1, n, nKvHeads * headSize]),
  };
  const past = [nKvHeads, nPast + n, headSize];
  const cached = { keys: input("keys", past), values: input("values", past), type: "float32" } as const;
  feeds.last = new Tensor("int32", Int32Array.of(nPast + n - 1), [1]);
  feeds.total = new Tensor("int32", Int32Array.of(nPast + n), [1]);
  const run = { lastPosition: graph.input("last", "int32", [1]), totalLength: graph.input("total", "int32", [1]) };
  const unused = { isSingle: run.lastPosition, position: run.lastPosition, cos: cached.keys, sin: cached.keys };
  const [out] = graph.nodes("Identity", [severalTokens(graph, rows, cached, { ...unused, ...run }, heads)], ["out"]);
  graph.output(out, "float32", [1, n, nHeads * headSize]);
  const session = await createSession(graph.build(), { nThreads: 2 });
  return { run: () => session.run(feeds), close: () => session.release() };
}

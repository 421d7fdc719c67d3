/**
 * Attention of a run of a long prompt to the text before it, in time that does not grow with that text: queries and keys
 * are hashed and sorted, each group of queries attends exactly to the block of keys that sorts beside it, and to a uniform
 * sample of all others, which stands for them (HyperAttention, arXiv 2310.05869). The first tokens, the latest and the
 * run's own are attended to exactly. The paper halves the text again and again; here the runs of a prompt are the later
 * halves. Parts are joined as everywhere: in one softmax.
 */
import type { GraphBuilder, Value } from "../onnx/graph.ts";
import {
  asRows,
  byHead,
  type Cached,
  floats,
  type Heads,
  type KeysValues,
  type Rows,
  scoresOf,
  UNUSED,
} from "./heads.ts";

/** How prompts are read whose length makes exact attention slow. */
export interface HyperPlan {
  /** Runs behind so many tokens. */
  readonly fromTokens: number;
  /** Keys of a block. */
  readonly block: number;
  /** Keys that stand for all others: at least twice a block, or their noise costs more than they bring. */
  readonly samples: number;
}

/** First tokens that every query attends to, and the least number of latest ones. */
export const HYPER_SINKS = 64;
export const HYPER_RECENT = 256;

/** Random planes of a hash. */
const BITS = 7;

/** The same numbers in every run, from a normal distribution. */
function planes(headSize: number): Float32Array {
  const random = uniform(17);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return Float32Array.from({ length: headSize * BITS }, normal);
}

/** 0 <= x < 1, the same numbers for the same seed. */
function uniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** The place of a bucket in an order where neighbours differ in one bit: the inverse of the Gray code. */
export function grayRank(bucket: number): number {
  let rank = 0;
  for (let rest = bucket; rest > 0; rest >>= 1) rank ^= rest;
  return rank;
}

/** What sorts a vector [headSize]. */
export function hashRank(x: ArrayLike<number>): number {
  const all = planes(x.length);
  let bucket = 0;
  for (let bit = 0; bit < BITS; bit++) {
    let dot = 0;
    for (let i = 0; i < x.length; i++) dot += x[i] * all[i * BITS + bit];
    if (dot > 0) bucket |= 1 << bit;
  }
  return grayRank(bucket);
}

/** How a run is cut up. */
export interface HyperLayout {
  /** The keys from HYPER_SINKS on that are hashed: whole blocks. */
  readonly middle: number;
  /** Queries of a block. */
  readonly rowsPerBlock: number;
  /** [samples]: places in the sorted order of the middle. */
  readonly samples: BigInt64Array;
  /** [rows, samples]: added to the samples' scores; UNUSED in the row's own block. */
  readonly sampleBias: Float32Array;
  /** [rows]: which sorted query a row holds. Some are there twice, evenly, so that all blocks have equally many. */
  readonly spread: BigInt64Array;
  /** [queries]: the first row that holds a sorted query. */
  readonly pick: BigInt64Array;
}

/** The layout of `nQueries` queries of a key/value head behind `nPast` tokens; the sample is the same in every run. */
export function hyperLayout({ block, samples }: HyperPlan, nPast: number, nQueries: number): HyperLayout {
  const nBlocks = Math.floor((nPast - HYPER_SINKS - HYPER_RECENT) / block);
  const middle = nBlocks * block;
  const rowsPerBlock = Math.ceil(nQueries / nBlocks);
  const nRows = nBlocks * rowsPerBlock;
  const random = uniform(nPast);
  const places = Array.from({ length: samples }, () => Math.floor(random() * middle));
  const sampleBias = new Float32Array(nRows * samples).fill(Math.log(middle / samples));
  for (const [i, place] of places.entries()) {
    const own = Math.floor(place / block) * rowsPerBlock;
    for (let row = own; row < own + rowsPerBlock; row++) sampleBias[row * samples + i] = UNUSED;
  }
  return {
    ...{ middle, rowsPerBlock, sampleBias },
    samples: BigInt64Array.from(places, BigInt),
    spread: BigInt64Array.from({ length: nRows }, (_, row) => BigInt(Math.floor((row * nQueries) / nRows))),
    pick: BigInt64Array.from({ length: nQueries }, (_, query) => BigInt(Math.ceil((query * nRows) / nQueries))),
  };
}

/** The layout as a graph's inputs, and the rest of what a run needs. */
export interface HyperInputs {
  /** int64 [1]: HYPER_SINKS + middle, tokens before the run, queries of a block. */
  readonly middleEnd: Value;
  readonly nPast: Value;
  readonly rowsPerBlock: Value;
  readonly samples: Value;
  readonly sampleBias: Value;
  readonly spread: Value;
  readonly pick: Value;
  /** float32 [n, exact keys]: 0 where a token of the run attends to a sink, a recent key or a token of the run, else UNUSED. */
  readonly exactBias: Value;
  /** int64 [3]: keys of a block, samples, exact keys. */
  readonly sizes: Value;
}

/** Mixed values as rows. */
export function hyperAttention(
  graph: GraphBuilder,
  rows: Rows,
  own: KeysValues,
  cached: Cached,
  inputs: HyperInputs,
  heads: Heads,
  { block }: HyperPlan,
): Value {
  const { nHeads, nKvHeads, headSize } = heads;
  const nGroup = nHeads / nKvHeads;
  const slice = (x: Value, start: Value, end: Value) =>
    floats(graph, graph.node("Slice", [x, start, end, graph.ints(1)]), cached.type);
  const take = (x: Value, order: Value) =>
    graph.node("GatherND", [x, graph.node("Unsqueeze", [order, graph.ints(2)])], { batch_dims: 1 });
  const sinks = graph.ints(HYPER_SINKS);

  const middle = slice(cached.keys, sinks, inputs.middleEnd);
  const keyOrder = sortOrder(graph, middle, headSize);
  const keys = take(middle, keyOrder);
  const values = take(slice(cached.values, sinks, inputs.middleEnd), keyOrder);
  const queries = byHead(graph, rows.q, nGroup, heads);
  const queryOrder = sortOrder(graph, queries, headSize);
  // The query of each row, [nKvHeads, rows].
  const inRow = graph.node("Gather", [queryOrder, inputs.spread], { axis: 1 });
  const asked = take(queries, inRow);

  const grouped = (x: Value, size: number) => {
    const shape = graph.node("Concat", [graph.ints(-1), inputs.rowsPerBlock, graph.ints(size)], { axis: 0 });
    return graph.node("Reshape", [x, shape]);
  };
  const byBlock = (x: Value) => graph.node("Reshape", [x, graph.ints(-1, block, headSize)]);
  const byRow = (x: Value, size: number) => graph.node("Reshape", [x, graph.ints(nKvHeads, -1, size)]);
  const sample = (x: Value) => graph.node("Gather", [x, inputs.samples], { axis: 1 });
  const exact = (x: Value, ownRows: Value) =>
    graph.node("Concat", [slice(x, graph.ints(0), sinks), slice(x, inputs.middleEnd, inputs.nPast), ownRows], {
      axis: 1,
    });
  const token = graph.node("Div", [inRow, graph.ints(nGroup)]);
  const scores = [
    byRow(scoresOf(graph, grouped(asked, headSize), byBlock(keys), headSize), block),
    graph.node("Add", [scoresOf(graph, asked, sample(keys), headSize), inputs.sampleBias]),
    graph.node("Add", [
      scoresOf(graph, asked, exact(cached.keys, own.keys), headSize),
      graph.node("Gather", [inputs.exactBias, token], { axis: 0 }),
    ]),
  ];
  const weights = graph.node("Softmax", [graph.node("Concat", scores, { axis: 2 })], { axis: 2 });
  const outputs = [undefined, undefined, undefined];
  const [toBlock, toSample, toExact] = graph.nodes("Split", [weights, inputs.sizes], outputs, { axis: 2 });
  const mixed = [
    byRow(graph.node("MatMul", [grouped(toBlock, block), byBlock(values)]), headSize),
    graph.node("MatMul", [toSample, sample(values)]),
    graph.node("MatMul", [toExact, exact(cached.values, own.values)]),
  ].reduce((sum, part) => graph.node("Add", [sum, part]));
  // Where each query stands in the sorted order, and from there its row.
  const places = ascending(graph, graph.node("Cast", [queryOrder], { to: 1 }));
  return asRows(graph, take(mixed, graph.node("Gather", [inputs.pick, places])), heads);
}

/** The order of x [heads, n, headSize] by hashRank, equal ones as they come: int64 [heads, n]. */
function sortOrder(graph: GraphBuilder, x: Value, headSize: number): Value {
  const name = `hyper.planes.${headSize}`;
  const hashed = graph.node("MatMul", [x, graph.weight(name, "float32", [headSize, BITS], planes(headSize))]);
  const zero = graph.weight("hyper.zero", "float32", [], new Float32Array(1));
  const bits = graph.node("Cast", [graph.node("Greater", [hashed, zero])], { to: 1 });
  const powers = Float32Array.from({ length: BITS }, (_, bit) => 2 ** bit);
  // Not as a product with a vector, which takes onnxruntime ten times as long.
  const valued = graph.node("Mul", [bits, graph.weight("hyper.powers", "float32", [BITS], powers)]);
  const buckets = graph.node("ReduceSum", [valued, graph.ints(2)], { keepdims: 0 });
  const ranks = Float32Array.from({ length: 2 ** BITS }, (_, bucket) => grayRank(bucket));
  const table = graph.weight("hyper.ranks", "float32", [ranks.length], ranks);
  return ascending(graph, graph.node("Gather", [table, graph.node("Cast", [buckets], { to: 7 })]));
}

/** The indices of x [heads, n] in rising order of its numbers, equal ones as they come. */
function ascending(graph: GraphBuilder, x: Value): Value {
  const n = graph.node("Shape", [x], { start: 1, end: 2 });
  return graph.nodes("TopK", [x, n], [undefined, undefined], { axis: 1, largest: 0 })[1];
}

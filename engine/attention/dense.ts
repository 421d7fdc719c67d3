/** Dense causal attention: every query attends to every key before it and its own. */
import { float, type GraphBuilder, type Value } from "../onnx/graph.ts";
import { type CalibrationInputs, calibrated } from "./calibration.ts";
import { type Cached, floats, type Heads, type KeysValues, type Rows, type RunInputs, scoresOf } from "./heads.ts";
import { joined } from "./merge.ts";

/** How runs of one token read a cache. */
export interface CacheInputs {
  /** float32 [capacity]: 0 for keys in use, else UNUSED. */
  readonly bias: Value;
  /** int64 [2]: capacity, 1. */
  readonly sizes: Value;
  /** Undefined where no sinks are damped. */
  readonly calibration?: CalibrationInputs;
}

/** GroupQueryAttention takes head sizes that are multiples of this; others are filled up with zeros. */
const HEAD_UNIT = 8;

/** Several tokens, by onnxruntime's GroupQueryAttention, which copies the cache first. Mixed values as rows. */
export function severalTokens(graph: GraphBuilder, rows: Rows, cached: Cached, run: RunInputs, heads: Heads): Value {
  const { nHeads, nKvHeads, headSize } = heads;
  const filled = Math.ceil(headSize / HEAD_UNIT) * HEAD_UNIT;
  const fill = (x: Value, n: number) => resized(graph, x, n, headSize, filled);
  const batch = (x: Value) => {
    const whole = graph.node("Unsqueeze", [floats(graph, x, cached.type), graph.ints(0)]);
    return padded(graph, whole, filled - headSize);
  };
  const operands = [
    ...[fill(rows.q, nHeads), fill(rows.k, nKvHeads), fill(rows.v, nKvHeads)],
    ...[batch(cached.keys), batch(cached.values), run.lastPosition, run.totalLength],
  ];
  const [mixed] = graph.nodes("com.microsoft.GroupQueryAttention", operands, [undefined, undefined, undefined], {
    ...{ num_heads: nHeads, kv_num_heads: nKvHeads },
    scale: float(1 / Math.sqrt(headSize)),
  });
  return resized(graph, mixed, nHeads, filled, headSize);
}

/** Rows of n heads with another size of each: zeros at its end, or its end cut off. */
function resized(graph: GraphBuilder, rows: Value, n: number, from: number, to: number): Value {
  if (from === to) return rows;
  const split = graph.node("Reshape", [rows, graph.ints(1, -1, n, from)]);
  return graph.node("Reshape", [padded(graph, split, to - from), graph.ints(1, -1, n * to)]);
}

/** x [1, a, b, c] with c longer by so many zeros, or shorter. */
const padded = (graph: GraphBuilder, x: Value, more: number) =>
  more === 0 ? x : graph.node("Pad", [x, graph.ints(0, 0, 0, 0, 0, 0, 0, more)]);

/**
 * One token: the cache is read in place, once for all query heads of a group. Mixed values as rows, and the keys'
 * shares of each query head, [nKvHeads, nGroup, capacity].
 */
export function oneToken(
  graph: GraphBuilder,
  q: Value,
  own: KeysValues,
  cached: Cached,
  inputs: CacheInputs,
  heads: Heads,
): [mixed: Value, shares: Value] {
  const { nHeads, nKvHeads, headSize } = heads;
  // One token's rows are in the order of heads already.
  const queries = graph.node("Reshape", [q, graph.ints(nKvHeads, nHeads / nKvHeads, headSize)]);
  const past = scoresOf(graph, queries, floats(graph, cached.keys, cached.type), headSize);
  const parts = [
    { scores: graph.node("Add", [past, inputs.bias]), values: floats(graph, cached.values, cached.type) },
    { scores: scoresOf(graph, queries, own.keys, headSize), values: own.values },
  ];
  const { calibration, sizes } = inputs;
  const adjust = calibration && ((raw: readonly Value[]) => calibrated(graph, raw, calibration));
  const { mixed, shares } = joined(graph, parts, sizes, adjust);
  return [graph.node("Reshape", [mixed, graph.ints(1, 1, nHeads * headSize)]), shares[0]];
}

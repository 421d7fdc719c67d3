/** Dense causal attention: every query attends to every key before it and its own. */
import { float, type GraphBuilder, type Value } from "../onnx/graph.ts";
import { type Cached, floats, type Heads, type KeysValues, type Rows, type RunInputs, scoresOf } from "./heads.ts";
import { joined } from "./merge.ts";

/** How runs of one token read a cache. */
export interface CacheInputs {
  /** float32 [capacity]: 0 for keys in use, else UNUSED. */
  readonly bias: Value;
  /** int64 [2]: capacity, 1. */
  readonly sizes: Value;
}

/** Several tokens, by onnxruntime's GroupQueryAttention, which copies the cache first. Mixed values as rows. */
export function severalTokens(graph: GraphBuilder, rows: Rows, cached: Cached, run: RunInputs, heads: Heads): Value {
  const { nHeads, nKvHeads, headSize } = heads;
  const batch = (x: Value) => graph.node("Unsqueeze", [floats(graph, x, cached.type), graph.ints(0)]);
  const operands = [rows.q, rows.k, rows.v, batch(cached.keys), batch(cached.values)];
  const [mixed] = graph.nodes(
    "com.microsoft.GroupQueryAttention",
    [...operands, run.lastPosition, run.totalLength],
    [undefined, undefined, undefined],
    { num_heads: nHeads, kv_num_heads: nKvHeads, scale: float(1 / Math.sqrt(headSize)) },
  );
  return mixed;
}

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
  const { mixed, shares } = joined(graph, parts, inputs.sizes);
  return [graph.node("Reshape", [mixed, graph.ints(1, 1, nHeads * headSize)]), shares[0]];
}

/** Mixed values as rows. */
export function denseAttention(
  graph: GraphBuilder,
  rows: Rows,
  own: KeysValues,
  cached: Cached,
  run: RunInputs,
  inputs: CacheInputs,
  heads: Heads,
): Value {
  return graph.choose(
    run.isSingle,
    ["float32"],
    () => oneToken(graph, rows.q, own, cached, inputs, heads).slice(0, 1),
    () => [severalTokens(graph, rows, cached, run, heads)],
  )[0];
}

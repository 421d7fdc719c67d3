/**
 * Dense causal attention with a key/value cache, by onnxruntime's GroupQueryAttention: it rotates queries and keys,
 * appends the new keys and values to the caches in place and attends, all in one node.
 */
import { float, type GraphBuilder, type Value } from "../onnx/graph.ts";

/** What every layer's attention shares within one run. */
export interface AttentionInputs {
  /** int32 [1]: tokens in the cache after this run, less one. */
  readonly lastPosition: Value;
  /** int32 scalar: tokens in the cache after this run. */
  readonly totalLength: Value;
  /** float32 [positions, cached head size / 2] */
  readonly cos: Value;
  readonly sin: Value;
}

/** A layer's cache before and after the run, each [1, nKvHeads, capacity, cached head size]; both are the same memory. */
export interface KvCache {
  readonly key: Value;
  readonly value: Value;
  readonly newKey: string;
  readonly newValue: string;
}

/** Projections before rotation: one packed [1, n, (nHeads + 2 nKvHeads) headSize], or three. */
export type Projections = { readonly qkv: Value } | { readonly q: Value; readonly k: Value; readonly v: Value };

/** GroupQueryAttention rotates halves of heads whose sizes are multiples of this; other halves are filled up with zeros. */
const HALF_UNIT = 8;

/** The head size of a layer's cache and of its rotary tables. */
export function cachedHeadSize(headSize: number): number {
  return 2 * HALF_UNIT * Math.ceil(headSize / 2 / HALF_UNIT);
}

export interface Heads {
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly headSize: number;
}

/** Mixed values [1, n, nHeads * headSize], and the layer's new cache. */
export function denseAttention(
  graph: GraphBuilder,
  projections: Projections,
  cache: KvCache,
  inputs: AttentionInputs,
  heads: Heads,
): [mixed: Value, key: Value, value: Value] {
  const { nHeads, nKvHeads, headSize } = heads;
  const cached = cachedHeadSize(headSize);
  const fill = (x: Value, n: number) => resizeHeads(graph, x, n, headSize, cached);
  const [q, k, v] =
    "qkv" in projections
      ? [fill(projections.qkv, nHeads + 2 * nKvHeads), undefined, undefined]
      : [fill(projections.q, nHeads), fill(projections.k, nKvHeads), fill(projections.v, nKvHeads)];
  const { lastPosition, totalLength, cos, sin } = inputs;
  const [mixed, key, value] = graph.nodes(
    "com.microsoft.GroupQueryAttention",
    [q, k, v, cache.key, cache.value, lastPosition, totalLength, cos, sin],
    [undefined, cache.newKey, cache.newValue],
    { num_heads: nHeads, kv_num_heads: nKvHeads, do_rotary: 1, scale: float(1 / Math.sqrt(headSize)) },
  );
  return [resizeHeads(graph, mixed, nHeads, cached, headSize), key, value];
}

/** Cuts the halves of heads or fills them up with zeros: x [1, n, nHeads * from] -> [1, n, nHeads * to]. */
function resizeHeads(graph: GraphBuilder, x: Value, nHeads: number, from: number, to: number): Value {
  if (from === to) return x;
  const halves = graph.node("Reshape", [x, graph.ints(1, -1, 2 * nHeads, from / 2)]);
  // A negative pad cuts.
  const resized = graph.node("Pad", [halves, graph.ints(0, 0, 0, 0, 0, 0, 0, (to - from) / 2)]);
  return graph.node("Reshape", [resized, graph.ints(1, -1, nHeads * to)]);
}

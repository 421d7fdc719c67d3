/**
 * Dense causal attention over a key/value cache and a run's own tokens. The cache only enters the graph: what leaves are
 * the new keys and values, which the runtime appends, because onnxruntime-node copies every output.
 */
import { float, type GraphBuilder, type Value } from "../onnx/graph.ts";

/** What every layer's attention shares within one run. */
export interface AttentionInputs {
  /** bool [1]: the run has one token. */
  readonly isSingle: Value;
  /** int64 [1]: the position of the run's first token. */
  readonly position: Value;
  /** int32 [1]: tokens up to the end of the run, less one. */
  readonly lastPosition: Value;
  /** int32 [1]: tokens up to the end of the run. */
  readonly totalLength: Value;
  /** float32 [capacity + 1], for runs of one token: 0 for keys in use and for the token itself, else UNUSED. */
  readonly bias: Value;
  /** int64 [2], for runs of one token: capacity, 1. */
  readonly parts: Value;
  /** float32 [positions, headSize / 2] */
  readonly cos: Value;
  readonly sin: Value;
}

/** The bias that leaves a key out. */
export const UNUSED = -3e38;

/** A layer's cache before the run, [nKvHeads, capacity, headSize] each. */
export interface KvCache {
  readonly key: Value;
  readonly value: Value;
  readonly type: "float32" | "float16";
}

/** Projections before rotation: one packed [1, n, (nHeads + 2 nKvHeads) headSize], or three. */
export type Projections = { readonly qkv: Value } | { readonly q: Value; readonly k: Value; readonly v: Value };

export interface Heads {
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly headSize: number;
}

export interface Attended {
  /** [1, n, nHeads * headSize] */
  readonly mixed: Value;
  /** The new keys, rotated, and values: [nKvHeads, n, headSize] each. */
  readonly key: Value;
  readonly value: Value;
}

/**
 * Runs of several tokens use onnxruntime's GroupQueryAttention, which copies the cache first; runs of one token read it
 * in place, once for all query heads of a group.
 */
export function denseAttention(
  graph: GraphBuilder,
  projections: Projections,
  cache: KvCache,
  inputs: AttentionInputs,
  heads: Heads,
): Attended {
  const { nHeads, nKvHeads, headSize } = heads;
  const [q, k, v] = rotated(graph, projections, inputs, heads);
  const byHead = (x: Value) => {
    const split = graph.node("Reshape", [x, graph.ints(-1, nKvHeads, headSize)]);
    return graph.node("Transpose", [split], { perm: [1, 0, 2] });
  };
  const [key, value] = [byHead(k), byHead(v)];
  const scale = float(1 / Math.sqrt(headSize));
  const floats = (x: Value) => (cache.type === "float32" ? x : graph.node("Cast", [x], { to: 1 }));

  const single = () => {
    const queries = graph.node("Reshape", [q, graph.ints(nKvHeads, nHeads / nKvHeads, headSize)]);
    const scores = (keys: Value) =>
      graph.node("com.microsoft.FusedMatMul", [queries, keys], { transB: 1, alpha: scale });
    const all = graph.node("Concat", [scores(floats(cache.key)), scores(key)], { axis: 2 });
    const shares = graph.node("Softmax", [graph.node("Add", [all, inputs.bias])], { axis: 2 });
    const [past, own] = graph.nodes("Split", [shares, inputs.parts], [undefined, undefined], { axis: 2 });
    const mix = (part: Value, values: Value) => graph.node("MatMul", [part, values]);
    const mixed = graph.node("Add", [mix(past, floats(cache.value)), mix(own, value)]);
    return [graph.node("Reshape", [mixed, graph.ints(1, 1, nHeads * headSize)])];
  };
  const several = () => {
    const batch = (x: Value) => graph.node("Unsqueeze", [floats(x), graph.ints(0)]);
    const { lastPosition, totalLength } = inputs;
    const operands = [q, k, v, batch(cache.key), batch(cache.value), lastPosition, totalLength];
    const attributes = { num_heads: nHeads, kv_num_heads: nKvHeads, scale };
    const [mixed] = graph.nodes(
      "com.microsoft.GroupQueryAttention",
      operands,
      [undefined, undefined, undefined],
      attributes,
    );
    return [mixed];
  };
  const [mixed] = graph.choose(inputs.isSingle, ["float32"], single, several);
  return { mixed, key, value };
}

function rotated(graph: GraphBuilder, projections: Projections, inputs: AttentionInputs, heads: Heads): Value[] {
  const { nHeads, nKvHeads, headSize } = heads;
  const { position, cos, sin } = inputs;
  const rotate = (x: Value, nRotated: number) =>
    graph.node("com.microsoft.RotaryEmbedding", [x, position, cos, sin], { num_heads: nRotated });
  if (!("qkv" in projections)) {
    return [rotate(projections.q, nHeads), rotate(projections.k, nKvHeads), projections.v];
  }
  const split = (x: Value, ...sizes: number[]) =>
    graph.nodes("Split", [x, graph.ints(...sizes.map((n) => n * headSize))], [undefined, undefined], { axis: -1 });
  const [qk, v] = split(projections.qkv, nHeads + nKvHeads, nKvHeads);
  const [q, k] = split(rotate(qk, nHeads + nKvHeads), nHeads, nKvHeads);
  return [q, k, v];
}

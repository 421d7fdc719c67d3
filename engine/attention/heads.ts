/** What every kind of attention shares: shapes, projections as rows and by head, rotation, scores. */
import { float, type GraphBuilder, type Value } from "../onnx/graph.ts";

export interface Heads {
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly headSize: number;
}

/** Projections before rotation: one packed [1, n, (nHeads + 2 nKvHeads) headSize], or three. */
export type Projections = { readonly qkv: Value } | { readonly q: Value; readonly k: Value; readonly v: Value };

/** Where a run's tokens stand, and how long it is. */
export interface RunInputs {
  /** bool [1]: the run has one token. */
  readonly isSingle: Value;
  /** int64 [1]: the position of the run's first token. */
  readonly position: Value;
  /** int32 [1]: tokens up to the end of the run, less one. */
  readonly lastPosition: Value;
  /** int32 [1]: tokens up to the end of the run. */
  readonly totalLength: Value;
  /** float32 [positions, headSize / 2] */
  readonly cos: Value;
  readonly sin: Value;
}

/** Queries [1, n, nHeads * headSize], keys and values [1, n, nKvHeads * headSize]. */
export interface Rows {
  readonly q: Value;
  readonly k: Value;
  readonly v: Value;
}

/** Keys and values, [heads, n, headSize] each. */
export interface KeysValues {
  readonly keys: Value;
  readonly values: Value;
}

/** Keys and values from before the run: [heads, capacity, headSize]. */
export interface Cached extends KeysValues {
  readonly type: "float32" | "float16";
}

/** The bias that leaves a key out. */
export const UNUSED = -3e38;

export function rotatedRows(graph: GraphBuilder, projections: Projections, run: RunInputs, heads: Heads): Rows {
  const { nHeads, nKvHeads, headSize } = heads;
  const rotate = (x: Value, nRotated: number) =>
    graph.node("com.microsoft.RotaryEmbedding", [x, run.position, run.cos, run.sin], { num_heads: nRotated });
  if (!("qkv" in projections)) {
    return { q: rotate(projections.q, nHeads), k: rotate(projections.k, nKvHeads), v: projections.v };
  }
  const split = (x: Value, ...sizes: number[]) =>
    graph.nodes("Split", [x, graph.ints(...sizes.map((n) => n * headSize))], [undefined, undefined], { axis: -1 });
  const [qk, v] = split(projections.qkv, nHeads + nKvHeads, nKvHeads);
  const [q, k] = split(rotate(qk, nHeads + nKvHeads), nHeads, nKvHeads);
  return { q, k, v };
}

/** Rows [1, n, nKvHeads * nPerHead * headSize] by key/value head, token after token: [nKvHeads, n * nPerHead, headSize]. */
export function byHead(graph: GraphBuilder, rows: Value, nPerHead: number, { nKvHeads, headSize }: Heads): Value {
  const split = graph.node("Reshape", [rows, graph.ints(-1, nKvHeads, nPerHead * headSize)]);
  const moved = graph.node("Transpose", [split], { perm: [1, 0, 2] });
  return nPerHead === 1 ? moved : graph.node("Reshape", [moved, graph.ints(nKvHeads, -1, headSize)]);
}

/** The way back from byHead, for mixed values of all query heads. */
export function asRows(graph: GraphBuilder, mixed: Value, { nHeads, nKvHeads, headSize }: Heads): Value {
  const split = graph.node("Reshape", [mixed, graph.ints(nKvHeads, -1, (nHeads / nKvHeads) * headSize)]);
  const moved = graph.node("Transpose", [split], { perm: [1, 0, 2] });
  return graph.node("Reshape", [moved, graph.ints(1, -1, nHeads * headSize)]);
}

/** The rows of some key/value heads, or of all of them in another order. */
export function pickHeads(graph: GraphBuilder, rows: Value, from: Heads, nPerHead: number, picked: number[]): Value {
  const { nKvHeads, headSize } = from;
  if (picked.length === nKvHeads && picked.every((head, i) => head === i)) return rows;
  const split = graph.node("Reshape", [rows, graph.ints(-1, nKvHeads, nPerHead * headSize)]);
  const some = graph.node("Gather", [split, graph.ints(...picked)], { axis: 1 });
  return graph.node("Reshape", [some, graph.ints(1, -1, picked.length * nPerHead * headSize)]);
}

export const floats = (graph: GraphBuilder, x: Value, type: Cached["type"]) =>
  type === "float32" ? x : graph.node("Cast", [x], { to: 1 });

/** q · k / sqrt(headSize) of queries [heads, m, headSize] and keys [heads, n, headSize]: [heads, m, n]. */
export function scoresOf(graph: GraphBuilder, queries: Value, keys: Value, headSize: number): Value {
  const scale = float(1 / Math.sqrt(headSize));
  return graph.node("com.microsoft.FusedMatMul", [queries, keys], { transB: 1, alpha: scale });
}

/**
 * Of the keys that a token reads, deeper layers read those that got most attention in the layers before: attention is
 * summed over heads and layers, the least wanted keys are left out, and what is left out stays out until blocks are
 * chosen again. For each token anew, so nothing is lost. Source: SpAtten (HPCA 2021), cascade token pruning.
 */
import type { GraphBuilder, Value } from "../onnx/graph.ts";
import { type CacheInputs, oneToken } from "./dense.ts";
import type { Cached, Heads, KeysValues } from "./heads.ts";
import { BLOCK_TOKENS } from "./plan.ts";

/** The keys that are still read, and what they got until now. */
export interface Alive {
  /** int64 [m]: their places in the cache. */
  readonly keys: Value;
  /** float32 [m] */
  readonly importance: Value;
}

/** The places of the keys of blocks, int64 [blocks * BLOCK_TOKENS]. */
export function keysOf(graph: GraphBuilder, blocks: Value): Value {
  const first = graph.node("Mul", [graph.node("Unsqueeze", [blocks, graph.ints(1)]), graph.ints(BLOCK_TOKENS)]);
  const within = graph.ints(...Array.from({ length: BLOCK_TOKENS }, (_, i) => i));
  return graph.node("Reshape", [graph.node("Add", [first, within]), graph.ints(-1)]);
}

/** What one layer adds: shares [nKvHeads, nGroup, m] summed over its heads, [m]. */
export function importanceOf(graph: GraphBuilder, shares: Value): Value {
  return graph.node("ReduceSum", [shares, graph.ints(0, 1)], { keepdims: 0 });
}

/** The `count` keys, int64 [1], that got most. */
export function mostImportant(graph: GraphBuilder, { keys, importance }: Alive, count: Value): Alive {
  const [some, which] = graph.nodes("TopK", [importance, count], [undefined, undefined], { axis: 0 });
  return { keys: graph.node("Gather", [keys, which]), importance: some };
}

/** One token's attention to some keys and itself, as oneToken; what is known of each key is that of all of them. */
export function attendToKeys(
  graph: GraphBuilder,
  q: Value,
  own: KeysValues,
  cached: Cached,
  keys: Value,
  { bias, sizes, calibration }: CacheInputs,
  heads: Heads,
): [mixed: Value, shares: Value] {
  const rows = (x: Value) => graph.node("Gather", [x, keys], { axis: 1 });
  const some = { keys: rows(cached.keys), values: rows(cached.values), type: cached.type };
  const damping = calibration && {
    ...calibration,
    sinks: graph.node("Gather", [calibration.sinks, keys], { axis: 2 }),
  };
  return oneToken(
    graph,
    q,
    own,
    some,
    { bias: graph.node("Gather", [bias, keys]), sizes, calibration: damping },
    heads,
  );
}

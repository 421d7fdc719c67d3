/**
 * Attention of one token to chosen blocks of keys. Some layers choose, the others read what the last of those chose:
 * neighbouring layers need the same keys (TidalDecode, arXiv 2410.05076). One choice serves all heads of a layer; chosen
 * blocks come best first, so a layer with a smaller budget reads the beginning of the list (SpAtten's tapering). A choice
 * may be used again for later tokens (Recycled Attention, arXiv 2411.05787).
 */
import type { GraphBuilder, Value } from "../onnx/graph.ts";
import type { CalibrationInputs } from "./calibration.ts";
import { oneToken } from "./dense.ts";
import { type Cached, type Heads, type KeysValues, scoresOf } from "./heads.ts";
import { BLOCK_TOKENS, type Selector } from "./plan.ts";

/** What is kept of each block's keys for choosing: [nKvHeads, blocks, headSize] each. */
export type Landmark = "means" | "smallest" | "largest";

export const LANDMARKS: Readonly<Record<Selector, readonly Landmark[]>> = {
  mean: ["means"],
  bound: ["smallest", "largest"],
  attention: [],
};

/** What choosing needs: the cache's capacity is a whole number of blocks. */
export interface ChoiceInputs {
  /** float32 [blocks], added to scores from 0 to 1: 2 for blocks that must be chosen, -2 for empty ones, else 0. */
  readonly preference: Value;
  /** int64 [1]: how many are chosen, at most as many as there are. */
  readonly count: Value;
}

/** The blocks a layer reads. */
export interface Choice {
  /** int64 [count], best first. */
  readonly blocks: Value;
  /** float32 [count * BLOCK_TOKENS]: the bias of their keys. */
  readonly bias: Value;
  /** int64 [2]: keys read, 1. */
  readonly sizes: Value;
  /** Of their keys. */
  readonly calibration?: CalibrationInputs;
}

/** By the attention itself: a block's score is the largest share that any query head gives to the whole block. */
export function chooseByShares(graph: GraphBuilder, shares: Value, inputs: ChoiceInputs): Value {
  const byBlock = graph.node("Reshape", [shares, graph.ints(0, 0, -1, BLOCK_TOKENS)]);
  return best(graph, graph.node("ReduceSum", [byBlock, graph.ints(3)], { keepdims: 0 }), inputs);
}

/** By the means of the blocks' keys, [nKvHeads, blocks, headSize], as if each block were one key. */
export function chooseByMeans(graph: GraphBuilder, q: Value, means: Value, inputs: ChoiceInputs, heads: Heads): Value {
  const { nHeads, nKvHeads, headSize } = heads;
  const queries = graph.node("Reshape", [q, graph.ints(nKvHeads, nHeads / nKvHeads, headSize)]);
  const scores = scoresOf(graph, queries, means, headSize);
  return best(graph, graph.node("Softmax", [scores], { axis: 2 }), inputs);
}

/**
 * By the most that any key of a block can score (Quest, arXiv 2406.10774): its channels' smallest and largest numbers,
 * [nKvHeads, blocks, headSize] both. No block with a better key is left out for it.
 */
export function chooseByBounds(
  graph: GraphBuilder,
  q: Value,
  [smallest, largest]: readonly [Value, Value],
  inputs: ChoiceInputs,
  heads: Heads,
): Value {
  const { nHeads, nKvHeads, headSize } = heads;
  const queries = graph.node("Reshape", [q, graph.ints(nKvHeads, nHeads / nKvHeads, headSize)]);
  const positive = graph.node("Relu", [queries]);
  const negative = graph.node("Sub", [queries, positive]);
  const scores = graph.node("Add", [
    scoresOf(graph, positive, largest, headSize),
    scoresOf(graph, negative, smallest, headSize),
  ]);
  return best(graph, graph.node("Softmax", [scores], { axis: 2 }), inputs);
}

/** Scores [nKvHeads, nGroup, blocks] are pooled by their maximum: heads differ in scale, so sums would favour some. */
function best(graph: GraphBuilder, scores: Value, { preference, count }: ChoiceInputs): Value {
  const pooled = graph.node("ReduceMax", [scores, graph.ints(0, 1)], { keepdims: 0 });
  return graph.nodes("TopK", [graph.node("Add", [pooled, preference]), count], [undefined, undefined], { axis: 0 })[1];
}

/** A number of each key of the chosen blocks, from [capacity] of all keys. */
export function ofBlocks(graph: GraphBuilder, ofAll: Value, blocks: Value): Value {
  const byBlock = graph.node("Reshape", [ofAll, graph.ints(-1, BLOCK_TOKENS)]);
  return graph.node("Reshape", [graph.node("Gather", [byBlock, blocks]), graph.ints(-1)]);
}

/** The same for each head: from [heads, 1, capacity]. */
export function ofBlocksByHead(graph: GraphBuilder, ofAll: Value, blocks: Value): Value {
  const byBlock = graph.node("Reshape", [ofAll, graph.ints(0, -1, BLOCK_TOKENS)]);
  return graph.node("Reshape", [graph.node("Gather", [byBlock, blocks], { axis: 1 }), graph.ints(0, 1, -1)]);
}

/** One token's attention to the chosen blocks and itself, as oneToken. */
export function attendToBlocks(
  graph: GraphBuilder,
  q: Value,
  own: KeysValues,
  cached: Cached,
  choice: Choice,
  heads: Heads,
): [mixed: Value, shares: Value] {
  const { nKvHeads, headSize } = heads;
  const chosen = (x: Value) => {
    const byBlock = graph.node("Reshape", [x, graph.ints(nKvHeads, -1, BLOCK_TOKENS * headSize)]);
    const some = graph.node("Gather", [byBlock, choice.blocks], { axis: 1 });
    return graph.node("Reshape", [some, graph.ints(nKvHeads, -1, headSize)]);
  };
  const some = { keys: chosen(cached.keys), values: chosen(cached.values), type: cached.type };
  return oneToken(graph, q, own, some, choice, heads);
}

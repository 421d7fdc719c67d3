/**
 * The one way partial attentions are joined. Attention of one query over a set of keys is the triple (max of the scores,
 * denominator, numerator); triples of disjoint sets merge into that of their union, in any order and grouping.
 * Source: "Attention as an RNN" (arXiv 2405.13956), section 3.
 */
import type { GraphBuilder, Value } from "../onnx/graph.ts";

/** Attention over a set of keys: denominator and numerator are scaled by exp(-max). */
export interface Partial {
  readonly max: number;
  readonly denominator: number;
  /** [headSize] */
  readonly numerator: Float64Array;
}

/** Attention over no keys. */
export const nothing = (headSize: number): Partial => ({
  max: Number.NEGATIVE_INFINITY,
  denominator: 0,
  numerator: new Float64Array(headSize),
});

/** Attention over one key. */
export const single = (score: number, value: Float64Array): Partial => ({
  max: score,
  denominator: 1,
  numerator: value,
});

/** Attention over both sets, which must have no key in common. */
export function merge(a: Partial, b: Partial): Partial {
  const max = Math.max(a.max, b.max);
  if (max === Number.NEGATIVE_INFINITY) return a;
  const [ofA, ofB] = [Math.exp(a.max - max), Math.exp(b.max - max)];
  return {
    max,
    denominator: ofA * a.denominator + ofB * b.denominator,
    numerator: a.numerator.map((value, i) => ofA * value + ofB * b.numerator[i]),
  };
}

/** The attention's output: the values' weighted mean, zeros for no keys. */
export function finished({ denominator, numerator }: Partial): Float64Array {
  return denominator === 0 ? numerator : numerator.map((value) => value / denominator);
}

/** What each of some scores gets: all of them together make one. */
export function shares(scores: readonly number[]): number[] {
  const max = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const weights = scores.map((score) => Math.exp(score - max));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}

/** One part's keys in a graph: scores [heads, queries, n], biases included, and values [heads, n, headSize]. */
export interface GraphPart {
  readonly scores: Value;
  readonly values: Value;
}

export interface Joined {
  /** [heads, queries, headSize] */
  readonly mixed: Value;
  /** Each part's probabilities, [heads, queries, n]. */
  readonly shares: readonly Value[];
}

/**
 * The merge of all parts, evaluated at once: concatenated scores have a common maximum and denominator, so no part's
 * triple has to be scaled again. `sizes` int64 [parts] holds each part's n; `adjust` may change the shares.
 */
export function joined(
  graph: GraphBuilder,
  parts: readonly GraphPart[],
  sizes: Value,
  adjust: (shares: readonly Value[]) => readonly Value[] = (shares) => shares,
): Joined {
  const scores = graph.node(
    "Concat",
    parts.map((part) => part.scores),
    { axis: 2 },
  );
  const outputs = parts.map(() => undefined);
  const whole = graph.node("Softmax", [scores], { axis: 2 });
  const shares = adjust(graph.nodes("Split", [whole, sizes], outputs, { axis: 2 }));
  const sums = shares.map((share, i) => graph.node("MatMul", [share, parts[i].values]));
  return { mixed: sums.reduce((sum, next) => graph.node("Add", [sum, next])), shares };
}

/**
 * Texts that were encoded one by one each bring a first token that their model attends to for want of anything better; a
 * place where several of them stand has several such sinks. Here those but the session's own keep a part of the attention
 * they get, and the rest of it goes to all other keys in proportion. Where texts begin is known; other sinks may be
 * searched for (sinks.ts). Source: ACT (arXiv 2406.15765).
 */
import type { GraphBuilder, Value } from "../onnx/graph.ts";
import { asRows, byHead, type Cached, floats, type Heads, type KeysValues, scoresOf } from "./heads.ts";
import { finished, joined, merge, type Partial } from "./merge.ts";

/** Which heads damp sinks, and by how much. */
export interface Calibration {
  /** The part that sinks keep, above 0 and at most 1. */
  readonly keep: number;
  /** The key/value heads of each layer that damp; they retrieve. */
  readonly heads: readonly (readonly number[])[];
  /** Placed tokens that get so many even shares of a prompt's attention are damped too; above 1. */
  readonly detect?: number;
}

/** Where less than this is left to other keys, sinks keep everything: there is nobody to give it to. */
const LEAST_REST = 1e-6;

/** Attention over sinks and over the rest, joined with the sinks damped: [headSize]. */
export function damped(sinks: Partial, rest: Partial, keep: number): Float64Array {
  const all = merge(sinks, rest);
  const share = all.denominator === 0 ? 0 : (Math.exp(sinks.max - all.max) * sinks.denominator) / all.denominator;
  if (share === 0 || 1 - share < LEAST_REST) return finished(all);
  const [ofSinks, ofRest] = [finished(sinks), finished(rest)];
  return ofRest.map((value, i) => keep * share * ofSinks[i] + (1 - keep * share) * value);
}

/** How a graph's attention is calibrated. */
export interface CalibrationInputs {
  /** float32 [nKvHeads, 1, keys]: 1 for sinks, else 0. */
  readonly sinks: Value;
  /** float32 [nKvHeads, 1, 1]: what of their attention sinks lose. */
  readonly loss: Value;
}

/** The `loss` of some of a layer's heads, by their numbers among all of them. */
export function lossOf(graph: GraphBuilder, { keep, heads }: Calibration, layer: number, picked: number[]): Value {
  const losses = Float32Array.from(picked, (head) => (heads[layer].includes(head) ? 1 - keep : 0));
  return graph.weight(`calibration.${layer}`, "float32", [picked.length, 1, 1], losses);
}

/** Shares [nKvHeads, queries, keys] of earlier keys, among which the sinks are, and of the run's own: both damped. */
export function calibrated(
  graph: GraphBuilder,
  [past, own]: readonly Value[],
  { sinks, loss }: CalibrationInputs,
): [past: Value, own: Value] {
  const sum = graph.node("ReduceSum", [graph.node("Mul", [past, sinks]), graph.ints(2)], { keepdims: 1 });
  const rest = graph.node("Sub", [graph.scalar(1), sum]);
  const isLeft = graph.node("Less", [graph.scalar(LEAST_REST), rest]);
  const lost = graph.node("Where", [isLeft, loss, graph.scalar(0)]);
  // What others gain: each 1 + more of its share.
  const given = graph.node("Div", [sum, graph.node("Max", [rest, graph.scalar(LEAST_REST)])]);
  const more = graph.node("Mul", [lost, given]);
  const grown = (x: Value) => graph.node("Add", [x, graph.node("Mul", [x, more])]);
  const kept = graph.node("Mul", [past, graph.node("Sub", [graph.scalar(1), lost])]);
  const isSink = graph.node("Cast", [sinks], { to: 9 });
  return [graph.node("Where", [isSink, kept, grown(past)]), grown(own)];
}

/** What runs of several tokens need beside the cache's bias. */
export interface SeveralInputs {
  /** float32 [capacity] */
  readonly bias: Value;
  /** float32 [n * nGroup, n]: 0 where a query attends to a token of the run, else UNUSED. Rows as byHead orders them. */
  readonly ownBias: Value;
  /** int64 [2]: capacity, n. */
  readonly sizes: Value;
}

/**
 * Several tokens, with shares of their own: slower than onnxruntime's attention, which does not tell them. Mixed values as
 * rows, and what each key of the cache got before any is damped, [nKvHeads, capacity].
 */
export function calibratedTokens(
  graph: GraphBuilder,
  q: Value,
  own: KeysValues,
  cached: Cached,
  { bias, ownBias, sizes }: SeveralInputs,
  heads: Heads,
  calibration: CalibrationInputs,
): [mixed: Value, received: Value] {
  const queries = byHead(graph, q, heads.nHeads / heads.nKvHeads, heads);
  const part = ({ keys, values }: KeysValues, added: Value) => ({
    scores: graph.node("Add", [scoresOf(graph, queries, keys, heads.headSize), added]),
    values,
  });
  const past = { keys: floats(graph, cached.keys, cached.type), values: floats(graph, cached.values, cached.type) };
  const parts = [part(past, bias), part(own, ownBias)];
  let received: Value | undefined;
  const { mixed } = joined(graph, parts, sizes, (raw) => {
    received = graph.node("ReduceSum", [raw[0], graph.ints(1)], { keepdims: 0 });
    return calibrated(graph, raw, calibration);
  });
  return [asRows(graph, mixed, heads), received as Value];
}

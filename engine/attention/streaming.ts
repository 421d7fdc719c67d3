/**
 * Streaming heads: the first tokens of the text (sinks) and a window of the latest, whatever the text's length.
 * Source: DuoAttention (arXiv 2410.10819). Their cache is a ring: which slot holds which token is known outside, which
 * makes the bias, so that any cut of a text into runs gives the same result.
 */
import type { GraphBuilder, Value } from "../onnx/graph.ts";
import { asRows, byHead, type Cached, floats, type Heads, type KeysValues, scoresOf } from "./heads.ts";
import { joined } from "./merge.ts";

export interface StreamingInputs {
  /** float32 [n * nGroup, slots]: 0 where a query attends to a slot, else UNUSED. Rows as byHead orders them. */
  readonly bias: Value;
  /** float32 [n * nGroup, n]: the same for the run's own tokens. */
  readonly ownBias: Value;
  /** int64 [2]: slots, n. */
  readonly sizes: Value;
}

/** Mixed values as rows, of queries `q` as rows; `cached` is the ring, [nKvHeads, slots, headSize]. */
export function streamingAttention(
  graph: GraphBuilder,
  q: Value,
  own: KeysValues,
  cached: Cached,
  inputs: StreamingInputs,
  heads: Heads,
): Value {
  const queries = byHead(graph, q, heads.nHeads / heads.nKvHeads, heads);
  const part = (keys: Value, values: Value, bias: Value) => ({
    scores: graph.node("Add", [scoresOf(graph, queries, keys, heads.headSize), bias]),
    values,
  });
  const past = (x: Value) => floats(graph, x, cached.type);
  const parts = [part(past(cached.keys), past(cached.values), inputs.bias), part(own.keys, own.values, inputs.ownBias)];
  return asRows(graph, joined(graph, parts, inputs.sizes).mixed, heads);
}

/** Whether the token at `position` attends to the one at `other`. */
export function streams(
  position: number,
  other: number,
  { sinks, window }: { sinks: number; window: number },
): boolean {
  return other <= position && (other < sinks || position - other < window);
}

/**
 * Depthwise causal convolution over tokens. The rows before a run are carried from run to run, so that any split of a
 * text into runs gives the same result. Source: RCMHA (arXiv 2308.03429) and Primer, filters of their own per channel.
 */
import type { GraphBuilder, Value } from "../onnx/graph.ts";

export interface ConvTail {
  /** The last rows before the run, [b, nTaps - 1, channels]; zeros at the start of a text. */
  readonly past: Value;
  /** The name of the tail after the run. */
  readonly present: string;
}

/**
 * x [b, n, channels], filter [channels, nTaps] (tap a multiplies the row a tokens back) -> convolved x and new tail.
 * Shifted products: at these sizes faster than onnxruntime's Conv and CausalConvWithState.
 */
export function causalConv(
  graph: GraphBuilder,
  x: Value,
  name: string,
  filter: Float32Array,
  nTaps: number,
  tail: ConvTail,
): [convolved: Value, present: Value] {
  const channels = filter.length / nTaps;
  const tap = (a: number) => {
    const column = Float32Array.from({ length: channels }, (_, ch) => filter[ch * nTaps + a]);
    return graph.weight(`${name}.${a}`, "float32", [channels], column);
  };
  const rows = graph.node("Concat", [tail.past, x], { axis: 1 });
  let sum = graph.node("Mul", [x, tap(0)]);
  for (let a = 1; a < nTaps; a++) {
    const shifted = graph.node("Slice", [rows, graph.ints(nTaps - 1 - a), graph.ints(-a), graph.ints(1)]);
    sum = graph.node("Add", [sum, graph.node("Mul", [shifted, tap(a)])]);
  }
  const last = [rows, graph.ints(1 - nTaps), graph.ints(Number.MAX_SAFE_INTEGER), graph.ints(1)];
  return [sum, graph.nodes("Slice", last, [tail.present])[0]];
}

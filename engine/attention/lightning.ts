/**
 * Lightning attention: causal linear attention with a fixed decay per head and no denominator,
 * o_i = sum over j <= i of exp(-s (i - j)) (q_i . k_j) v_j, carried from run to run in one matrix S per head.
 * Source: "Various Lengths, Constant Speed" (arXiv 2405.17381), recurrent form: S = exp(-s) S + k vᵀ, o = Sᵀ q.
 */
import { float, type GraphBuilder, type Value } from "../onnx/graph.ts";

export interface LightningState {
  /** [b, nHeads, headSize, headSize], rows are key channels. */
  readonly past: Value;
  /** The name of the state after the run. */
  readonly present: string;
}

/**
 * q, k, v [b, n, nHeads * headSize] and `logDecay` [b, n, nHeads] (= -s, repeated for every token) give the mixed
 * values, shaped like v, and the new state. onnxruntime's fused recurrence is faster here than the chunked form of
 * Lightning Attention-2 built from matrix products, at every n from 1 to 512.
 */
export function lightningAttention(
  graph: GraphBuilder,
  [q, k, v]: readonly Value[],
  logDecay: Value,
  nHeads: number,
  state: LightningState,
): [mixed: Value, present: Value] {
  const [mixed, present] = graph.nodes(
    "com.microsoft.LinearAttention",
    [q, k, v, state.past, logDecay],
    [undefined, state.present],
    { update_rule: "gated", scale: float(1), q_num_heads: nHeads, kv_num_heads: nHeads },
  );
  return [mixed, present];
}

/** Minus the decay of every head, repeated for every token of x [b, n, ...]: [b, n, nHeads]. */
export function repeatedLogDecay(graph: GraphBuilder, name: string, decay: Float32Array, x: Value): Value {
  const nHeads = decay.length;
  const row = graph.weight(
    name,
    "float32",
    [1, 1, nHeads],
    decay.map((s) => -s),
  );
  const shape = graph.node("Concat", [graph.node("Shape", [x], { end: 2 }), graph.ints(nHeads)], { axis: 0 });
  return graph.node("Expand", [row, shape]);
}

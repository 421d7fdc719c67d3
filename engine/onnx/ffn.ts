/** The gated feed-forward activation. */
import { float, type GraphBuilder, type Value } from "./graph.ts";

/** SwiGLU: silu(gate) * up. gate and up have the same shape. */
export function swiglu(graph: GraphBuilder, gate: Value, up: Value): Value {
  // QuickGelu is x * sigmoid(alpha x): SiLU in one node where alpha is 1.
  return graph.node("Mul", [graph.node("com.microsoft.QuickGelu", [gate], { alpha: float(1) }), up]);
}

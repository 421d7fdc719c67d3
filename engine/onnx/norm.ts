/** RMS normalisation: x / sqrt(mean(x²) + eps) * weight over the last axis. */
import { float, type GraphBuilder, type Value } from "./graph.ts";

/** x [..., n], weight [n] -> [..., n]. */
export function rmsNorm(graph: GraphBuilder, x: Value, weight: Value, eps: number): Value {
  return graph.node("SimplifiedLayerNormalization", [x, weight], { axis: -1, epsilon: float(eps) });
}

/** The norm of x + skip, and the sum itself, in one node. x and skip [..., n]. */
export function addRmsNorm(graph: GraphBuilder, x: Value, skip: Value, weight: Value, eps: number): [Value, Value] {
  const outputs = [undefined, null, null, undefined];
  const inputs = [x, skip, weight];
  const [normed, , , sum] = graph.nodes("com.microsoft.SkipSimplifiedLayerNormalization", inputs, outputs, {
    epsilon: float(eps),
  });
  return [normed, sum];
}

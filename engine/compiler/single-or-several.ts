/**
 * A layer does one thing for a single token and another for several. Where sinks are searched for, what reads several tokens
 * also tells what the cache's keys received; that goes out of the graph past all that the layer does with the rest.
 */
import type { ElementType, GraphBuilder, Value } from "../onnx/graph.ts";

type Branch = () => Value[];

export interface SingleOrSeveral {
  /** The outputs, of these types, of the branch that fits the run; the one for several calls `several`. */
  readonly choose: (types: readonly ElementType[], single: Branch, more: Branch) => Value[];
  /** Mixed values as rows. */
  readonly several: () => Value;
}

/** `received` names the graph's output of what `read` tells of keys, float32 [heads, keys]; nothing is told without it. */
export function singleOrSeveral(
  graph: GraphBuilder,
  isSingle: Value,
  read: () => [mixed: Value, received: Value | undefined],
  received: string | undefined,
): SingleOrSeveral {
  let told: Value | undefined;
  const several = () => {
    const [mixed, got] = read();
    told = got;
    return mixed;
  };
  const choose = (types: readonly ElementType[], single: Branch, more: Branch) => {
    if (received === undefined) return graph.choose(isSingle, types, single, more);
    const outputs = graph.choose(
      isSingle,
      [...types, "float32"],
      () => [...single(), noShares(graph)],
      () => [...more(), told ?? noShares(graph)],
    );
    const [output] = graph.nodes("Identity", [outputs[types.length]], [received]);
    graph.output(output, "float32", ["receiving", "received"]);
    return outputs.slice(0, types.length);
  };
  return { choose, several };
}

/** In place of what keys received, where that is not known: float32 [1, 1]. */
export function noShares(graph: GraphBuilder): Value {
  return graph.node("Identity", [graph.weight("no_shares", "float32", [1, 1], new Float32Array(1))]);
}

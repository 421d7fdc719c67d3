import assert from "node:assert/strict";
import { test } from "node:test";
import { singleOrSeveral } from "../../../engine/compiler/single-or-several.ts";
import { GraphBuilder } from "../../../engine/onnx/graph.ts";
import { createSession, Tensor } from "../../../engine/runtime/session.ts";

/** A single x is doubled; several are squared, and their sum is what is received. */
async function run(isSingle: boolean, received?: string) {
  const graph = new GraphBuilder();
  const x = graph.input("x", "float32", [1, "n"]);
  const single = graph.input("is_single", "bool", [1]);
  const square = () => graph.node("Mul", [x, x]);
  const read = (): [ReturnType<typeof square>, ReturnType<typeof square>] => [
    square(),
    graph.node("ReduceSum", [x, graph.ints(1)], { keepdims: 1 }),
  ];
  const { choose, several } = singleOrSeveral(graph, single, read, received);
  const [y, n] = choose(
    ["float32", "int64"],
    () => [graph.node("Add", [x, x]), graph.node("Identity", [graph.ints(1)])],
    () => [several(), graph.node("Identity", [graph.ints(2)])],
  );
  graph.output(graph.nodes("Identity", [y], ["y"])[0], "float32", [1, "n"]);
  graph.output(graph.nodes("Identity", [n], ["which"])[0], "int64", [1]);
  const session = await createSession(graph.build(), { nThreads: 1 });
  const feeds = {
    x: new Tensor("float32", Float32Array.of(3, 4), [1, 2]),
    is_single: new Tensor("bool", Uint8Array.of(isSingle ? 1 : 0), [1]),
  };
  const outputs = await session.run(feeds);
  await session.release();
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { data }]) => [name, Array.from(data as ArrayLike<number | bigint>, Number)]),
  );
}

test("each run has the branch that fits it, and tells what was received by several only, where it is to", async () => {
  assert.deepEqual(await run(true), { y: [6, 8], which: [1] });
  assert.deepEqual(await run(false), { y: [9, 16], which: [2] });
  assert.deepEqual(await run(true, "received.0"), { "received.0": [0], y: [6, 8], which: [1] });
  assert.deepEqual(await run(false, "received.0"), { "received.0": [7], y: [9, 16], which: [2] });
});

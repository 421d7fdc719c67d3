import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type FileSlice, float, GraphBuilder } from "../../../engine/onnx/graph.ts";
import { createSession, Tensor } from "../../../engine/runtime/session.ts";

const options = { nThreads: 1 };

const n = 1024;

/** The dot product of (x + w) with itself, by onnx and onnxruntime operators. */
async function squaredSum(w: Float32Array | FileSlice, x: Float32Array): Promise<number> {
  const graph = new GraphBuilder();
  const input = graph.input("x", "float32", ["rows", n]);
  const sum = graph.node("Add", [input, graph.weight("w", "float32", [n], w)]);
  const half = graph.node("com.microsoft.FusedMatMul", [sum, sum], { transB: 1, alpha: float(0.5) });
  const [y] = graph.nodes("Mul", [half, graph.scalar(2)], ["y"]);
  graph.output(y, "float32", ["rows", "rows"]);
  const session = await createSession(graph.build(), options);
  const result = await session.run({ x: new Tensor("float32", x, [1, n]) });
  await session.release();
  return Number(result.y.data[0]);
}

test("a graph runs with weights in memory and with weights mapped from a file", async () => {
  const folder = mkdtempSync(join(tmpdir(), "longsight-onnx-"));
  try {
    const stored = Float32Array.from({ length: n + 16 }, (_, i) => i / n);
    const path = join(folder, "weights.bin");
    writeFileSync(path, new Uint8Array(stored.buffer));
    const x = new Float32Array(n).fill(1);
    const expected = stored.subarray(16).reduce((sum, w) => sum + (1 + w) ** 2, 0);
    const buffered = await squaredSum(stored.slice(16), x);
    const mapped = await squaredSum({ path, offset: 64, sizeBytes: 4 * n }, x);
    assert.ok(Math.abs(buffered / expected - 1) < 1e-5, `${buffered} ${expected}`);
    assert.equal(mapped, buffered);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a preallocated output is written in place, also into a slice of a larger buffer", async () => {
  const graph = new GraphBuilder();
  const x = graph.input("x", "float32", [4]);
  const [y] = graph.nodes("Neg", [x], ["y"]);
  graph.output(y, "float32", [4]);
  const session = await createSession(graph.build(), options);
  const arena = new Float32Array(12);
  const feeds = { x: new Tensor("float32", Float32Array.of(1, 2, 3, 4), [4]) };
  await session.run(feeds, { y: new Tensor("float32", arena.subarray(4, 8), [4]) });
  assert.deepEqual([...arena], [0, 0, 0, 0, -1, -2, -3, -4, 0, 0, 0, 0]);
  await session.release();
});

test("int64 constants and shapes keep their values", async () => {
  const graph = new GraphBuilder();
  const x = graph.input("x", "float32", ["a", "b"]);
  const [y] = graph.nodes("Reshape", [x, graph.ints(-1, 2)], ["y"]);
  graph.output(y, "float32", ["c", 2]);
  const session = await createSession(graph.build(), options);
  const result = await session.run({ x: new Tensor("float32", new Float32Array(6), [1, 6]) });
  assert.deepEqual(result.y.dims, [3, 2]);
  await session.release();
});

test("a graph computes the one of two ways that its input chooses, with values and weights from outside", async () => {
  const graph = new GraphBuilder();
  const first = graph.input("first", "bool", [1]);
  const x = graph.node("Neg", [graph.input("x", "float32", [3])]);
  const weight = graph.weight("w", "float32", [3], Float32Array.of(10, 20, 30));
  const [chosen] = graph.choose(
    first,
    ["float32"],
    () => [graph.node("Mul", [x, weight])],
    () => [graph.node("Sub", [x, graph.scalar(1)])],
  );
  const [y] = graph.nodes("Identity", [chosen], ["y"]);
  graph.output(y, "float32", [3]);
  const session = await createSession(graph.build(), options);
  const feeds = { x: new Tensor("float32", Float32Array.of(1, 2, 3), [3]) };
  const run = async (way: number) => {
    const { y } = await session.run({ ...feeds, first: new Tensor("bool", Uint8Array.of(way), [1]) });
    return [...(y.data as Float32Array)];
  };
  assert.deepEqual(await run(1), [-10, -40, -90]);
  assert.deepEqual(await run(0), [-2, -3, -4]);
  await session.release();
});

test("float16 is read and written as its bits", async () => {
  const graph = new GraphBuilder();
  const [y] = graph.nodes("Neg", [graph.input("x", "float16", [2])], ["y"]);
  graph.output(y, "float16", [2]);
  const session = await createSession(graph.build(), options);
  const bits = new Uint16Array(Float16Array.of(1.5, -2).buffer);
  const result = await session.run({ x: new Tensor("float16", bits, [2]) });
  assert.deepEqual(result.y.data, new Uint16Array(Float16Array.of(-1.5, 2).buffer));
  await session.release();
});

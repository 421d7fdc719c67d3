import assert from "node:assert/strict";
import { test } from "node:test";
import { attendToKeys, importanceOf, keysOf, mostImportant } from "../../../engine/attention/pruning.ts";
import { GraphBuilder, type Value } from "../../../engine/onnx/graph.ts";
import { createSession, Tensor } from "../../../engine/runtime/session.ts";
import { assertClose } from "../close.ts";

const heads = { nHeads: 4, nKvHeads: 2, headSize: 8 };
const CAPACITY = 192;
const random = (n: number, seed: number) =>
  Float32Array.from({ length: n }, (_, i) => Math.sin(seed + i * 12.9898) * 2);

/** Three layers behind one another that read the keys of two blocks, then so many of them; what each read and added. */
async function cascade(counts: readonly number[]) {
  const graph = new GraphBuilder();
  const cached = {
    keys: graph.input("keys", "float32", [2, CAPACITY, 8]),
    values: graph.input("values", "float32", [2, CAPACITY, 8]),
    type: "float32",
  } as const;
  const zero = graph.input("own", "float32", [2, 1, 8]);
  const own = { keys: zero, values: zero };
  const bias = graph.input("bias", "float32", [CAPACITY]);
  const out = (value: Value, name: string, type: "int64" | "float32") =>
    graph.output(graph.nodes("Identity", [value], [name])[0], type, [name]);
  let keys = keysOf(graph, graph.ints(2, 0));
  let importance = graph.weight("zeros", "float32", [128], new Float32Array(128));
  for (const [layer, count] of counts.entries()) {
    const some = mostImportant(graph, { keys, importance }, graph.ints(count));
    const q = graph.weight(`q.${layer}`, "float32", [1, 1, 32], random(32, layer));
    const inputs = { bias, sizes: graph.ints(count, 1) };
    const [mixed, shares] = attendToKeys(graph, q, own, cached, some.keys, inputs, heads);
    const added = importanceOf(graph, shares);
    keys = some.keys;
    importance = graph.node("Add", [some.importance, added]);
    out(keys, `keys.${layer}`, "int64");
    out(added, `added.${layer}`, "float32");
    out(importance, `importance.${layer}`, "float32");
    graph.output(graph.nodes("Identity", [mixed], [`mixed.${layer}`])[0], "float32", [1, 1, 32]);
  }
  const session = await createSession(graph.build(), { nThreads: 1 });
  const result = await session.run({
    keys: new Tensor("float32", random(2 * CAPACITY * 8, 7), [2, CAPACITY, 8]),
    values: new Tensor("float32", random(2 * CAPACITY * 8, 8), [2, CAPACITY, 8]),
    own: new Tensor("float32", new Float32Array(16), [2, 1, 8]),
    bias: new Tensor("float32", new Float32Array(CAPACITY), [CAPACITY]),
  });
  await session.release();
  return counts.map((_, layer) => ({
    keys: Array.from(result[`keys.${layer}`].data as BigInt64Array, Number),
    added: Array.from(result[`added.${layer}`].data as Float32Array),
    importance: Array.from(result[`importance.${layer}`].data as Float32Array),
    mixed: Array.from(result[`mixed.${layer}`].data as Float32Array),
  }));
}

test("the keys of blocks are those of each block in order", async () => {
  const [first] = await cascade([128]);
  const expected = [...Array.from({ length: 64 }, (_, i) => 128 + i), ...Array.from({ length: 64 }, (_, i) => i)];
  assert.deepEqual(first.keys.toSorted((a, b) => a - b), expected.toSorted((a, b) => a - b)); // biome-ignore format: one row
});

test("each layer reads the keys that got most in all layers before it, and what is left out stays out", async () => {
  const [first, second, third] = await cascade([128, 50, 20]);
  const best = ({ keys, importance }: typeof first, count: number) =>
    keys
      .map((key, i) => ({ key, got: importance[i] }))
      .sort((a, b) => b.got - a.got)
      .slice(0, count)
      .map(({ key }) => key);
  assert.deepEqual(second.keys, best(first, 50));
  assert.deepEqual(third.keys, best(second, 20));
  const before = new Map(first.keys.map((key, i) => [key, first.importance[i]]));
  for (const [i, key] of second.keys.entries()) {
    assertClose([second.importance[i]], [before.get(key)! + second.added[i]], 1e-6, `key ${key}`);
  }
});

test("what a layer adds is what its heads give to earlier keys: all of their attention but that of the token itself", async () => {
  const [first] = await cascade([128]);
  const sum = first.added.reduce((a, b) => a + b, 0);
  const [keys, q] = [random(2 * CAPACITY * 8, 7), random(32, 0)];
  let expected = 0;
  for (let head = 0; head < 4; head++) {
    let others = 0;
    for (const key of first.keys) {
      let dot = 0;
      for (let i = 0; i < 8; i++) dot += q[head * 8 + i] * keys[((head >> 1) * CAPACITY + key) * 8 + i];
      others += Math.exp(dot / Math.sqrt(8));
    }
    expected += others / (others + 1);
  }
  assertClose([sum], [expected], 1e-5, "sum");
  assert.ok(sum < 4 && sum > 3.9, `four heads: ${sum}`);
});

test("keeping all keys in every layer equals reading them once more", async () => {
  const [, second] = await cascade([128, 128, 128]);
  const q = random(32, 1);
  const [keys, values] = [random(2 * CAPACITY * 8, 7), random(2 * CAPACITY * 8, 8)];
  const expected = Array.from({ length: 4 }, (_, head) => {
    const row = (x: Float32Array, key: number) => x.subarray(((head >> 1) * CAPACITY + key) * 8).subarray(0, 8);
    const weights = second.keys.map((key) =>
      Math.exp(row(keys, key).reduce((sum, k, i) => sum + k * q[head * 8 + i], 0) / Math.sqrt(8)),
    );
    const total = weights.reduce((a, b) => a + b, 1);
    return Array.from({ length: 8 }, (_, i) =>
      weights.reduce((sum, weight, k) => sum + (weight / total) * row(values, second.keys[k])[i], 0),
    );
  }).flat();
  assertClose(second.mixed, expected, 1e-5, "mixed");
});

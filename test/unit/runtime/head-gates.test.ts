import assert from "node:assert/strict";
import { test } from "node:test";
import { farShare, rankedGates } from "../../../engine/attention/gates.ts";
import type { AttentionPlan } from "../../../engine/attention/plan.ts";
import { referenceLogits } from "../../../engine/reference.ts";
import { Decoder } from "../../../engine/runtime/decoder.ts";
import { estimateGates, tellingPlan } from "../../../engine/runtime/head-gates.ts";
import { assertClose } from "../close.ts";
import { decoderFixtures, openForTest } from "../decoder-golden.ts";

test("a head's far share is what its softmax gives to keys behind the sinks and before the window", () => {
  const keys = Float32Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  const span = { sinks: 1, window: 2, query: 9 };
  assertClose([farShare(Float32Array.of(1), keys, 1, span)], [0.7], 1e-12, "even");
  keys[4] = 50;
  assertClose([farShare(Float32Array.of(-1, 1), keys, 1, span)], [1], 1e-12, "the largest of a group");
  assertClose([farShare(Float32Array.of(-1), keys, 1, span)], [6 / 9], 1e-12, "the other head");
});

test("ranked gates keep the order, and half of them reach a half", () => {
  assert.deepEqual(rankedGates([[0.1, 0.9], [0.2, 0.01]]), [[1 / 3, 1], [2 / 3, 0]]); // biome-ignore format: one row
  assert.deepEqual(rankedGates([[0.4]]), [[0]]);
});

for (const name of ["llama", "qwen2", "qwen3"]) {
  test(`${name}: estimated gates are in the order of the far shares of the reference`, async () => {
    const { path } = decoderFixtures.find((fixture) => fixture.name === name)!;
    const { config, weights } = await openForTest(path);
    const ids = Array.from({ length: 128 }, (_, i) => (i * i * 31 + i * 7 + 3) % 128);
    const span = { sinks: 2, window: 20 };
    const queries = new Set(Array.from({ length: 32 }, (_, i) => Math.round((128 * (33 + i)) / 64) - 1));
    const nGroup = config.nHeads / config.nKvHeads;
    const shares = new Map<string, number[]>();
    const onShares = (layer: number, head: number, query: number, of: Float64Array) => {
      if (!queries.has(query)) return;
      const far = of.slice(span.sinks, query - span.window + 1).reduce((sum, share) => sum + share, 0);
      const key = `${layer} ${Math.floor(head / nGroup)} ${query}`;
      shares.set(key, [...(shares.get(key) ?? []), far]);
    };
    referenceLogits(config, weights, ids, () => true, onShares);
    const needs = Array.from({ length: config.nLayers }, () => new Array<number>(config.nKvHeads).fill(0));
    for (const [key, group] of shares) {
      const [layer, head] = key.split(" ").map(Number);
      needs[layer][head] += Math.max(...group);
    }
    const gates = await estimateGates({ config, weights }, ids, { nThreads: 1, ...span });
    assert.deepEqual(gates, rankedGates(needs));
  });
}

for (const { name, path } of decoderFixtures) {
  test(`${name}: telling what a layer asks for changes no bit`, async () => {
    const model = await openForTest(path);
    const open = (plan?: AttentionPlan) =>
      Decoder.open(model, { nThreads: 1, accuracy: "float", ...(plan && { plan }) });
    const [exact, telling] = [await open(), await open(tellingPlan(model.config, 1))];
    const ids = Array.from({ length: 200 }, (_, i) => (i * i * 31 + i * 7 + 3) % 128);
    for (const decoder of [exact, telling]) await decoder.run(ids.slice(0, 197), 0, []);
    for (let at = 197; at < 200; at++) {
      const expected = (await exact.run([ids[at]], at, [0])).slice();
      assert.deepEqual((await telling.run([ids[at]], at, [0])).slice(), expected);
      assert.equal(telling.queriesOf(1).length, model.config.nHeads * model.config.headSize);
    }
    for (const decoder of [exact, telling]) await decoder.close();
  });
}

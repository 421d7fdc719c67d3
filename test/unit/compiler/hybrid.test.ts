import assert from "node:assert/strict";
import { test } from "node:test";
import { hybridState } from "../../../engine/compiler/hybrid.ts";
import { openHybrid } from "../../../engine/models/hybrid.ts";
import { HybridDecoder } from "../../../engine/runtime/hybrid.ts";
import { fixture } from "../hybrid-golden.ts";

test("the state has a tensor for every layer's carry; the encoder's goes on where the router's ends, up to the memory layer", () => {
  const { config } = openHybrid(fixture.folder);
  assert.deepEqual(Object.fromEntries(hybridState(config, "router", 0)), {
    "conv.0": [1, 2, 96],
    "sum.0": [1, 2, 16, 16],
  });
  assert.deepEqual(Object.fromEntries(hybridState(config, "encoder", 3)), {
    "conv.1": [1, 2, 64],
    "keys.1": [3, 16],
    "values.1": [3, 16],
    "conv.2": [1, 2, 96],
    "sum.2": [1, 2, 16, 16],
    "conv.3": [1, 2, 96],
    "sum.3": [1, 2, 16, 16],
    "conv.4": [1, 2, 32],
  });
  const decoder = hybridState(config, "decoder", 5);
  assert.deepEqual(decoder.get("conv.1"), [1, 2, 64]);
  assert.deepEqual(decoder.get("keys.4"), [5, 16]);
  assert.equal(decoder.size, 3 * 2 + 2 * 3);
});

test("the state stops growing when the window is full", async () => {
  const model = openHybrid(fixture.folder);
  const decoder = await HybridDecoder.open(model, { nThreads: 1 });
  const state = decoder.start();
  const sizes: number[] = [];
  for (let nTokens = 10; nTokens <= 60; nTokens += 10) {
    await decoder.read(state, new Array(10).fill(70));
    sizes.push(state.save().length);
  }
  const perToken = 2 * 2 * model.config.headSize;
  const constant = sizes[0] - 10 * perToken;
  assert.deepEqual(
    sizes,
    [10, 20, 23, 23, 23, 23].map((nWindow) => constant + nWindow * perToken),
  );
  await decoder.close();
});

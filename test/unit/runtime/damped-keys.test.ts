import assert from "node:assert/strict";
import { test } from "node:test";
import { type AttentionPlan, exactPlan } from "../../../engine/attention/plan.ts";
import type { DecoderConfig } from "../../../engine/models/types.ts";
import { DampedKeys } from "../../../engine/runtime/damped-keys.ts";
import { Tensor } from "../../../engine/runtime/session.ts";

const config: DecoderConfig = {
  ...{ architecture: "llama", nLayers: 2, hiddenSize: 32, ffnSize: 64, nHeads: 4, nKvHeads: 2, headSize: 8 },
  ...{ vocabSize: 128, contextLength: 256, normEps: 1e-5, tiedEmbeddings: false, qkvBias: false, qkNorm: false },
  rope: { theta: 10_000 },
};
const planOf = (calibration?: AttentionPlan["calibration"]) => ({ ...exactPlan(config), calibration });
const N_GROUP = 2;

/** What a run of `n` tokens told of layer 1: the share of each of the keys in the mean, the same for both heads. */
const told = (n: number, ...shares: number[]) => ({
  "received.1": new Tensor(
    "float32",
    Float32Array.from([...shares, ...shares], (share) => share * n * N_GROUP),
    [...[2, shares.length]],
  ),
});

test("a plan that damps nothing needs nothing", () => {
  const damped = new DampedKeys(planOf(), N_GROUP);
  damped.resize(4);
  damped.place(0, 2, true);
  assert.deepEqual(damped.inputs(2, 3), {});
  damped.observe({}, 2, 3);
  assert.deepEqual(damped.of(1, 0), []);
});

test("first tokens behind others are damped until they are overwritten, also when the cache grows", () => {
  const damped = new DampedKeys(planOf({ keep: 0.4, heads: [[], [1]] }), N_GROUP);
  damped.resize(4);
  damped.place(0, 2, true);
  damped.place(2, 2, true);
  assert.deepEqual(damped.of(1, 0), [2], "what begins the whole text is its own");
  damped.resize(8);
  damped.place(4, 2, true);
  const inputs = damped.inputs(6, 2);
  assert.deepEqual(
    Object.keys(inputs).filter((name) => name.startsWith("sinks")),
    ["sinks.1"],
  );
  assert.deepEqual([...(inputs["sinks.1"].data as Float32Array)], [0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0]);
  assert.deepEqual([...(inputs.is_damped.data as Uint8Array)], [1]);
  assert.deepEqual(
    [...(damped.inputs(6, 1).is_damped.data as Uint8Array)],
    [0],
    "single tokens are read in another way",
  );
  damped.inputs(4, 1);
  assert.deepEqual(damped.of(1, 1), [2]);
  damped.place(2, 2, undefined);
  assert.deepEqual(damped.of(1, 1), [], "more of the same text");
});

test("sinks are found among texts that were read alone, in the mean of all runs, and forgotten with what found them", () => {
  const damped = new DampedKeys(planOf({ keep: 0.4, heads: [[], [0]], detect: 2 }), N_GROUP);
  damped.resize(10);
  damped.place(1, 3, true);
  damped.place(4, 2, undefined);
  // An even share is a sixth, then an eighth; the keys 0, 4 and 5 are the text's own.
  damped.inputs(6, 2);
  damped.observe(told(2, 0.5, 0, 0.4, 0.1, 0.5, 0.5), 6, 2);
  assert.deepEqual(damped.of(1, 0), [1, 2]);
  damped.inputs(8, 1);
  damped.observe({}, 8, 1);
  assert.deepEqual(damped.of(1, 1), [1, 2]);
  damped.inputs(8, 2);
  damped.observe(told(2, 0.5, 0, 0, 0.5, 0.5, 0.5, 0, 0), 8, 2);
  assert.deepEqual(damped.of(1, 0), [1, 3], "a mean of 0.2 and one of 0.3");
  damped.inputs(6, 2);
  assert.deepEqual(damped.of(1, 0), [1]);
  damped.observe(told(2, 0, 0, 0.1, 0.4, 0, 0), 6, 2);
  assert.deepEqual(damped.of(1, 0), [1, 3]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { UNUSED } from "../../../engine/attention/heads.ts";
import { HYPER_RECENT, HYPER_SINKS } from "../../../engine/attention/hyper.ts";
import { hyperInputs } from "../../../engine/runtime/hyper-inputs.ts";

const plan = { fromTokens: 600, block: 50, samples: 7 };

test("a run's tokens see the sinks, the latest tokens and those of the run before them", () => {
  const nPast = HYPER_SINKS + HYPER_RECENT + 3 * 50 + 20;
  const inputs = hyperInputs(plan, nPast, 4, 2, true);
  const nExact = HYPER_SINKS + HYPER_RECENT + 20 + 4;
  assert.deepEqual(Array.from(inputs["hyper.sizes"].data as BigInt64Array, Number), [50, 7, nExact]);
  assert.deepEqual(inputs["hyper.exact_bias"].dims, [4, nExact]);
  const bias = inputs["hyper.exact_bias"].data as Float32Array;
  for (let token = 0; token < 4; token++) {
    for (let key = 0; key < nExact; key++) {
      assert.equal(bias[token * nExact + key], key <= nExact - 4 + token ? 0 : Math.fround(UNUSED));
    }
  }
  assert.equal(Number(inputs["hyper.middle_end"].data[0]), HYPER_SINKS + 150);
  // Eight queries of a head in three blocks: three rows each.
  assert.equal(Number(inputs["hyper.rows_per_block"].data[0]), 3);
  assert.deepEqual(inputs["hyper.sample_bias"].dims, [9, 7]);
});

test("other runs get inputs without content", () => {
  const inputs = hyperInputs(plan, 100, 4, 2, false);
  assert.equal(inputs.is_far.data[0], 0);
  assert.deepEqual(inputs["hyper.exact_bias"].dims, [0, 0]);
  assert.deepEqual(inputs["hyper.sample_bias"].dims, [0, 0]);
});

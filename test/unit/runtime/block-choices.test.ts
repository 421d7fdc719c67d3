import assert from "node:assert/strict";
import { test } from "node:test";
import { type AttentionPlan, BLOCK_TOKENS, type Selector } from "../../../engine/attention/plan.ts";
import type { DecoderConfig } from "../../../engine/models/types.ts";
import { BlockChoices } from "../../../engine/runtime/block-choices.ts";
import { KvCache } from "../../../engine/runtime/kv-cache.ts";
import { Tensor } from "../../../engine/runtime/session.ts";
import { assertClose } from "../close.ts";

const config = { nKvHeads: 1, headSize: 2 } as DecoderConfig;
const plan = (refresh: AttentionPlan["refresh"], selector: Selector = "mean"): AttentionPlan => ({
  layers: [{ heads: ["retrieval"], blocks: { kind: "select", selector, budget: 3 } }],
  ...{ sinks: 1, window: 1, refresh },
});

/** Decodes tokens behind `nPast`, whose queries point at these angles; which of them chose anew. */
function refreshes(refresh: AttentionPlan["refresh"], nPast: number, angles: number[]): boolean[] {
  const cache = new KvCache({ heads: [[0]], nKvHeads: 1, headSize: 2, type: "float32" });
  cache.reserve(1000);
  const choices = new BlockChoices(plan(refresh), config, cache);
  choices.fixedInputs();
  choices.inputs(0, nPast);
  choices.observe({}, nPast);
  return angles.map((angle, i) => {
    const inputs = choices.inputs(nPast + i, 1);
    choices.observe(
      {
        "choice.0": new Tensor("int64", BigInt64Array.of(0n, 1n, 2n), [3]),
        "query.0": new Tensor("float32", Float32Array.of(Math.cos(angle), Math.sin(angle)), [1, 2]),
      },
      1,
    );
    return Boolean(inputs.refresh.data[0]);
  });
}

const turn = (n: number) => new Array(n).fill(0);

test("a choice serves so many tokens, and never beyond the block it was made in", () => {
  assert.deepEqual(refreshes({ maxTokens: 1, minCosine: -1 }, 10, turn(3)), [true, true, true]);
  assert.deepEqual(refreshes({ maxTokens: 3, minCosine: -1 }, 10, turn(5)), [true, false, false, true, false]);
  const border = refreshes({ maxTokens: 99, minCosine: -1 }, BLOCK_TOKENS - 2, turn(4));
  assert.deepEqual(border, [true, false, true, false]);
});

test("queries that have turned away make the next token choose anew", () => {
  const refresh = { maxTokens: 99, minCosine: 0.8 };
  assert.deepEqual(refreshes(refresh, 10, [0, 0.3, 0.6, 0.9, 0.9, 0.9]), [true, false, false, false, true, false]);
  // With a cosine of 1 any choice serves one token more, and is made anew.
  assert.deepEqual(refreshes({ maxTokens: 99, minCosine: 1 }, 10, turn(4)), [true, false, true, false]);
});

const LANDMARKS = {
  mean: { "means.0": [31.5, 1, 95.5, 1, 159.5, 1] },
  bound: { "smallest.0": [0, -1, 64, -1, 128, -1], "largest.0": [63, 3, 127, 3, 191, 3] },
};

test("landmarks are those of complete blocks, in 32 and 16 bits, and survive growth", () => {
  for (const type of ["float32", "float16"] as const) {
    for (const selector of ["mean", "bound"] as const) {
      const cache = new KvCache({ heads: [[0]], nKvHeads: 1, headSize: 2, type });
      const choices = new BlockChoices(plan({ maxTokens: 1, minCosine: -1 }, selector), config, cache);
      let inputs = choices.fixedInputs();
      let nPast = 0;
      for (const n of [50, 20, 60, 1, 70]) {
        if (cache.reserve(nPast + n)) inputs = choices.fixedInputs();
        // The first channel counts, the second goes up and down around 1.
        const numbers = Float32Array.from({ length: 2 * n }, (_, i) => {
          const token = nPast + (i >> 1);
          return i % 2 === 0 ? token : token % 2 === 0 ? -1 : 3;
        });
        const rows = type === "float32" ? numbers : new Uint16Array(Float16Array.from(numbers).buffer);
        cache.append(nPast, n, rows, rows);
        choices.appended(nPast, n);
        nPast += n;
      }
      for (const [name, expected] of Object.entries(LANDMARKS[selector])) {
        assertClose((inputs[name].data as Float32Array).subarray(0, 6), expected, 0.1, `${name} ${type}`);
      }
    }
  }
});

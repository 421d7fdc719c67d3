import assert from "node:assert/strict";
import { test } from "node:test";
import { profitingHeads } from "../../../engine/attention/head-search.ts";

/** What each head adds to the loss of each of four samples. */
type Effects = Readonly<Record<string, readonly number[]>>;

const search = async (effects: Effects, together = 0) => {
  let nAsked = 0;
  const candidates = [[0, 1], [], [1]];
  const found = await profitingHeads(candidates, async (heads) => {
    nAsked++;
    const damping = heads.flatMap((some, layer) => some.map((head) => effects[`${layer}.${head}`]));
    return [0, 1, 2, 3].map((i) => damping.reduce((sum, of) => sum + of[i], i) + (damping.length > 1 ? together : 0));
  });
  return { found, nAsked };
};

test("the heads are found that gain on both halves of the samples", async () => {
  const effects = { "0.0": [-1, -1, 0.5, 0.2], "0.1": [-9, 1, -9, 0], "2.1": [-0.1, -0.1, -0.1, -0.1] };
  assert.deepEqual(await search(effects), { found: [[0], [], [1]], nAsked: 5 });
});

test("none are found where none gains, or where they lose together", async () => {
  const all = { "0.0": [-1, -1, -1, -1], "0.1": [0, 0, 0, 0], "2.1": [-1, -1, -1, -1] };
  assert.deepEqual((await search(all, 3)).found, [[], [], []]);
  const nobody = { "0.0": [1, 1, 1, 1], "0.1": [0, 0, 0, 0], "2.1": [1, -1, 1, -1] };
  assert.deepEqual(await search(nobody), { found: [[], [], []], nAsked: 4 });
});

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type AttentionPlan,
  type BlockPlan,
  balancedPlan,
  checkPlan,
  exactPlan,
  fastPlan,
  type LayerPlan,
} from "../../../engine/attention/plan.ts";
import type { DecoderConfig } from "../../../engine/models/types.ts";

const config: DecoderConfig = {
  ...{ architecture: "llama", nLayers: 4, hiddenSize: 32, ffnSize: 64, nHeads: 4, nKvHeads: 2, headSize: 8 },
  ...{ vocabSize: 128, contextLength: 256, normEps: 1e-5, tiedEmbeddings: false, qkvBias: false, qkNorm: false },
  rope: { theta: 10_000 },
};

test("presets fit models of any depth, and survive being stored", () => {
  for (let nLayers = 1; nLayers <= 40; nLayers++) {
    const gates = Array.from({ length: nLayers }, (_, layer) => [1, layer % 2]);
    for (const preset of [exactPlan, balancedPlan, fastPlan]) {
      for (const plan of [preset({ ...config, nLayers }), preset({ ...config, nLayers }, gates)]) {
        checkPlan(JSON.parse(JSON.stringify(plan)) as AttentionPlan, { ...config, nLayers });
      }
    }
  }
});

test("gates decide which heads stream", () => {
  const gates = [[0.2, 0.9], [0.5, 0.49], [1, 1], [0, 1]]; // biome-ignore format: one row
  assert.deepEqual(
    balancedPlan(config, gates).layers.map(({ heads }) => heads.map((role) => role[0]).join("")),
    ["sr", "rs", "rr", "sr"],
  );
  assert.throws(() => balancedPlan(config, gates.slice(1)), { code: "bad-input" });
});

const plan = exactPlan(config);
const withLayer = (layer: number, change: Partial<LayerPlan>): AttentionPlan => ({
  ...plan,
  layers: plan.layers.map((one, i) => (i === layer ? { ...one, ...change } : one)),
});
const reading = (layer: number, blocks: object) => withLayer(layer, { blocks: blocks as BlockPlan });

const CHOICE = { kind: "select", selector: "mean", budget: 4 } as const;
const planOf = (...blocks: BlockPlan[]): AttentionPlan => ({
  ...plan,
  layers: plan.layers.map((layer, i) => ({ ...layer, blocks: blocks[i] ?? layer.blocks })),
});

test("keys may be pruned behind a choice, again and again, and chosen anew", () => {
  checkPlan(planOf(CHOICE, { kind: "prune", keys: 256 }, { kind: "prune", keys: 1 }, CHOICE), config);
  checkPlan(planOf(CHOICE, { kind: "reuse", budget: 3 }, { kind: "all" }, { kind: "prune", keys: 192 }), config);
});

test("a plan that does not fit the model or itself is refused in one sentence", () => {
  const wrong: [AttentionPlan, RegExp][] = [
    [{ ...plan, layers: plan.layers.slice(1) }, /3 layers/],
    [{ ...plan, sinks: -1 }, /sinks/],
    [{ ...plan, window: 0 }, /window/],
    [{ ...plan, window: 1.5 }, /window/],
    [{ ...plan, refresh: { maxTokens: 0, minCosine: 0 } }, /0 tokens/],
    [{ ...plan, refresh: { maxTokens: 1, minCosine: Number.NaN } }, /cosine/],
    [{ ...plan, longPrompts: { fromTokens: 500, block: 256, samples: 8 } }, /500 tokens/],
    [{ ...plan, longPrompts: { fromTokens: 8192, block: 0, samples: 8 } }, /0 keys/],
    [{ ...plan, calibration: { keep: 0, heads: [[], [], [], []] } }, /keep 0/],
    [{ ...plan, calibration: { keep: 0.4, heads: [[], [], [], []], detect: 1 } }, /1 even shares/],
    [{ ...plan, calibration: { keep: 0.4, heads: [[], [], [], []], detect: Number.NaN } }, /NaN even shares/],
    [{ ...plan, calibration: { keep: 0.4, heads: [[0]] } }, /1 layers/],
    [{ ...plan, calibration: { keep: 0.4, heads: [[], [2], [], []] } }, /head 2 of layer 1/],
    [withLayer(1, { heads: ["retrieval"] }), /layer 1/],
    [withLayer(1, { heads: ["retrieval", "other" as "retrieval"] }), /"other"/],
    [reading(1, { kind: "some" }), /"some"/],
    [reading(1, { kind: "prune", keys: 64 }), /64 of 0 keys/],
    [planOf(CHOICE, { kind: "prune", keys: 257 }), /257 of 256 keys/],
    [planOf(CHOICE, { kind: "prune", keys: 0 }), /read 0 of/],
    [planOf(CHOICE, { kind: "prune", keys: 100 }, { kind: "prune", keys: 101 }), /101 of 100 keys/],
    [planOf(CHOICE, { kind: "prune", keys: 100 }, { kind: "reuse", budget: 3 }), /0 were chosen/],
    [planOf(CHOICE, { kind: "reuse", budget: 3 }, { kind: "prune", keys: 200 }), /200 of 192 keys/],
    [
      planOf(CHOICE, { kind: "reuse", budget: 3 }, { kind: "reuse", budget: 4 }, { kind: "prune", keys: 64 }),
      /of 0 keys/,
    ],
    [reading(1, { kind: "select", selector: "mean", budget: 2 }), /2 blocks/],
    [reading(1, { kind: "select", selector: "luck", budget: 8 }), /"luck"/],
    [reading(1, { kind: "reuse", budget: 8 }), /0 were chosen/],
    [
      {
        ...withLayer(1, { heads: ["streaming", "streaming"], blocks: { kind: "select", selector: "mean", budget: 8 } }),
      },
      /stream/,
    ],
  ];
  for (const [one, message] of wrong) {
    assert.throws(() => checkPlan(one, config), { name: "LongsightError", code: "bad-input", message });
  }
});

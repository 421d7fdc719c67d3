import assert from "node:assert/strict";
import { test } from "node:test";
import { exactPlan } from "../../../engine/attention/plan.ts";
import { compile } from "../../../engine/compiler/compile.ts";
import { LongsightError } from "../../../engine/errors.ts";
import { requiredWeights } from "../../../engine/models/tensor-names.ts";
import type { DecoderConfig, Weights } from "../../../engine/models/types.ts";
import { referenceLogits } from "../../../engine/reference.ts";
import { Decoder } from "../../../engine/runtime/decoder.ts";
import { argmax, assertClose, relativeError } from "../close.ts";
import { decoderFixtures, decoderForTest, openForTest, storiesModels } from "../decoder-golden.ts";

/** Activations in 8 bits: relative error of the logits. A model of 32 channels averages little of it away. */
const MAX_INT8_ERROR = 0.08;

for (const { name, path, golden } of decoderFixtures) {
  test(`${name}: reference and graph equal the golden logits, however the text is cut into runs`, async () => {
    const { ids, positions, logits } = golden();
    const model = await openForTest(path);
    const reference = referenceLogits(model.config, model.weights, ids);
    positions.forEach((position, i) => {
      assertClose(reference[position], logits[i], 1e-3, `reference at ${position}`);
    });

    const decoder = await decoderForTest(model);
    const whole = await decoder.run(ids, 0, positions);
    assertClose(whole, logits.flat(), 1e-3, "graph");
    for (const nFirst of [1, 7, ids.length - 1]) {
      await decoder.run(ids.slice(0, nFirst), 0, []);
      const rest = await decoder.run(ids.slice(nFirst), nFirst, [ids.length - nFirst - 1]);
      assertClose(rest, logits[positions.indexOf(ids.length - 1)], 1e-3, `graph, cut at ${nFirst}`);
    }
  });

  test(`${name}: the graph of 8-bit weights equals the reference of the same weights`, async () => {
    const { ids } = golden();
    const model = await openForTest(path, "int8");
    const expected = referenceLogits(model.config, model.weights, ids).at(-1)!;
    const exact = await (await decoderForTest(model)).run(ids, 0, [ids.length - 1]);
    assertClose(exact, expected, 1e-3, "float activations");
    // Rounding the activations to 8 bits is the fast path's one approximation.
    const fast = await (await decoderForTest(model, { accuracy: "int8" })).run(ids, 0, [ids.length - 1]);
    const error = relativeError(fast, expected);
    assert.ok(error <= MAX_INT8_ERROR, `8-bit activations: relative error ${error}`);
  });
}

for (const path of storiesModels.paths) {
  test(`${path.split("/").at(-1)}: logits and 200 greedy tokens equal the golden ones`, storiesModels, async () => {
    const model = await openForTest(path);
    const decoder = await decoderForTest(model);
    const reference = (ids: readonly number[]) => referenceLogits(model.config, model.weights, ids).at(-1)!;
    for (const { prompt_ids, greedy_ids, last_prompt_logits } of storiesModels.cases()) {
      assertClose(reference(prompt_ids), last_prompt_logits, 1e-3, "reference");
      let logits = await decoder.run(prompt_ids, 0, [prompt_ids.length - 1]);
      assertClose(logits, last_prompt_logits, 1e-3, "graph");
      const ids = [...prompt_ids, argmax(logits)];
      while (ids.length < greedy_ids.length) {
        logits = await decoder.run(ids.slice(-1), ids.length - 1, [0]);
        ids.push(argmax(logits));
      }
      assert.deepEqual(ids, greedy_ids);
      if (prompt_ids.length === 1) assertClose(logits, reference(ids.slice(0, -1)), 1e-3, "graph at the end");
    }
  });
}

test("stories260K in 8 bits: logits close to the golden ones", storiesModels, async () => {
  const decoder = await decoderForTest(await openForTest(storiesModels.paths[0], "int8"), { accuracy: "int8" });
  for (const { prompt_ids, last_prompt_logits } of storiesModels.cases()) {
    const logits = await decoder.run(prompt_ids, 0, [prompt_ids.length - 1]);
    const error = relativeError(logits, last_prompt_logits);
    assert.ok(error <= 0.05, `relative error ${error}`);
  }
});

/** A model with random float weights in memory. */
function randomModel(config: DecoderConfig): { config: DecoderConfig; weights: Weights } {
  const tensors = new Map(
    requiredWeights(config).map(({ name, shape }, seed) => {
      const [rows, cols] = shape.length === 2 ? shape : [1, shape[0]];
      const data = Float32Array.from(
        { length: rows * cols },
        (_, i) => Math.sin(seed * 97 + i * 1.37) / Math.sqrt(cols),
      );
      return [name, { kind: "f32", rows, cols, data }] as const;
    }),
  );
  const matrix = (name: string) => tensors.get(name)!;
  const has = (name: string) => tensors.has(name);
  return { config, weights: { fingerprint: "", has, matrix, vector: (name) => matrix(name).data, close: () => {} } };
}

test("heads of any even size, alone or grouped, equal the reference", async () => {
  for (const [headSize, nHeads, nKvHeads] of [
    [2, 4, 2],
    [4, 3, 1],
    [6, 2, 2],
    [20, 2, 1],
    [80, 2, 2],
    [100, 2, 1],
  ]) {
    const model = randomModel({
      ...{ architecture: "qwen2", nLayers: 2, hiddenSize: 32, ffnSize: 48, nHeads, nKvHeads, headSize },
      ...{ vocabSize: 64, contextLength: 128, normEps: 1e-5, tiedEmbeddings: true, qkvBias: true, qkNorm: false },
      rope: { theta: 10_000 },
    });
    const ids = Array.from({ length: 30 }, (_, i) => (i * 29) % 64);
    const expected = referenceLogits(model.config, model.weights, ids);
    const decoder = await Decoder.open(model, { nThreads: 1, accuracy: "float" });
    assertClose(await decoder.run(ids.slice(0, 20), 0, [19]), expected[19], 1e-4, `prompt, ${headSize}`);
    assertClose(await decoder.run(ids.slice(20, 29), 20, [8]), expected[28], 1e-4, `more of it, ${headSize}`);
    assertClose(await decoder.run(ids.slice(29), 29, [0]), expected[29], 1e-4, `one token, ${headSize}`);
    await decoder.close();
  }
});

test("a plan of another model is refused", async () => {
  const { config, weights } = await openForTest(decoderFixtures[0].path);
  const plan = exactPlan({ ...config, nLayers: config.nLayers + 1 });
  assert.throws(
    () => compile(config, plan, weights),
    (error: unknown) => error instanceof LongsightError && error.code === "bad-input",
  );
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { exactPlan } from "../../../engine/attention/plan.ts";
import { compile } from "../../../engine/compiler/compile.ts";
import { LongsightError } from "../../../engine/errors.ts";
import { referenceLogits } from "../../../engine/reference.ts";
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

test("a plan of another model is refused", async () => {
  const { config, weights } = await openForTest(decoderFixtures[0].path);
  const plan = exactPlan({ ...config, nLayers: config.nLayers + 1 });
  assert.throws(
    () => compile(config, plan, weights),
    (error: unknown) => error instanceof LongsightError && error.code === "bad-input",
  );
});

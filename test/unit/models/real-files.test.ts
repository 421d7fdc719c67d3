/** Models that other programs wrote. Skipped where the third-party data is absent. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { inspectModel } from "../../../engine/models/inspect.ts";
import { type OpenModel, openModel } from "../../../engine/models/open-model.ts";
import { requiredWeights } from "../../../engine/models/tensor-names.ts";
import { loadTokenizer } from "../../../engine/models/tokenizer/load.ts";
import { testData } from "../../data.ts";
import { assertSame, expand, temporaryCache } from "./small-model.ts";

async function open(t: TestContext, path: string): Promise<OpenModel> {
  temporaryCache(t);
  const model = await openModel(path);
  t.after(() => model.close());
  return model;
}

const stories = testData("models/stories260K");
const random = testData("models/llama-2-tiny-random.gguf");

test("stories260K: GGUF and safetensors hold the same model", { skip: stories.skip }, async (t) => {
  const fromGguf = await open(t, join(stories.path, "stories260K.gguf"));
  const fromFolder = await open(t, stories.path);
  // The GGUF file repeats the embedding as its output matrix, and holds the epsilon as float32.
  const { normEps } = fromFolder.config;
  assert.deepEqual(fromGguf.config, { ...fromFolder.config, tiedEmbeddings: false, normEps: Math.fround(normEps) });
  const [embedding, output] = ["token_embd", "output"].map((name) => expand(fromGguf.weights.matrix(name)));
  assertSame(output, embedding, "output");
  for (const { name, shape } of requiredWeights(fromFolder.config)) {
    if (shape.length === 1) assertSame(fromGguf.weights.vector(name), fromFolder.weights.vector(name), name);
    else assertSame(expand(fromGguf.weights.matrix(name)), expand(fromFolder.weights.matrix(name)), name);
  }
});

test("stories260K: both formats' tokenizers read the golden prompts", { skip: stories.skip }, async (t) => {
  type Golden = { cases: { prompt: string; prompt_ids: number[] }[] };
  const { cases } = JSON.parse(readFileSync(join(stories.path, "golden.json"), "utf8")) as Golden;
  for (const path of [join(stories.path, "stories260K.gguf"), stories.path]) {
    const { file, config } = await open(t, path);
    const tokenizer = loadTokenizer(file, config.vocabSize);
    for (const { prompt, prompt_ids } of cases) assert.deepEqual(tokenizer.encode(prompt, { bos: true }), prompt_ids);
  }
});

test("llama-2-tiny-random.gguf is read, inspected and converted", { skip: random.skip }, async (t) => {
  const { config, weights, file } = await open(t, random.path);
  assert.deepEqual([config.architecture, config.nLayers, config.hiddenSize, config.vocabSize], ["llama", 1, 8, 32_000]);
  for (const { name, shape } of requiredWeights(config)) {
    const values = shape.length === 1 ? weights.vector(name) : expand(weights.matrix(name));
    assert.equal(
      values.length,
      shape.reduce<number>((product, size) => product * size, 1),
      name,
    );
    assert.ok(values.every(Number.isFinite), name);
  }
  assert.equal(loadTokenizer(file, config.vocabSize).decode([15043, 3186]), "Hello world");
  const report = await inspectModel(random.path);
  assert.equal(report.supported, true);
  assert.equal(report.conversion?.cached, true);
});

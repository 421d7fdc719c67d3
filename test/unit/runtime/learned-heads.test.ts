import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { balancedPlan } from "../../../engine/attention/plan.ts";
import { contentHash } from "../../../engine/models/content-hash.ts";
import { openModelFile } from "../../../engine/models/files/open.ts";
import type { DecoderConfig } from "../../../engine/models/types.ts";
import { learnedHeads, withCalibration } from "../../../engine/runtime/learned-heads.ts";
import { loadModel, withPlan } from "../../../engine/runtime/loaded-model.ts";
import { randomChatModel } from "../random-chat-model.ts";

const folder = mkdtempSync(join(tmpdir(), "longsight-gates-"));
process.env.LONGSIGHT_CACHE = join(folder, "cache");
after(() => rmSync(folder, { recursive: true, force: true }));

const shape = { nLayers: 2, nKvHeads: 2 };
const config: DecoderConfig = {
  ...{ architecture: "llama", ...shape, hiddenSize: 32, ffnSize: 64, nHeads: 4, headSize: 8, rope: { theta: 10_000 } },
  ...{ vocabSize: 128, contextLength: 256, normEps: 1e-5, tiedEmbeddings: false, qkvBias: false, qkNorm: false },
};
const gates = [[0.2, 1], [0.7, 0]]; // biome-ignore format: one row

/** A model of one file, so to speak, and a way to lay gates beside it. */
function model(name: string) {
  const path = join(folder, name);
  writeFileSync(path, "weights");
  const file = { format: "gguf", path, files: [path] } as const;
  return { file, lay: (value: unknown) => writeFileSync(`${path}.longsight-gates.json`, JSON.stringify(value)) };
}

async function quietly<T>(task: () => Promise<T>): Promise<{ value: T; warnings: string[] }> {
  const warnings: string[] = [];
  const warn = console.warn;
  console.warn = (line: string) => warnings.push(line);
  try {
    return { value: await task(), warnings };
  } finally {
    console.warn = warn;
  }
}

test("gates beside a model are read if they are its own, and else left alone with one line in the log", async () => {
  const { file, lay } = model("a.gguf");
  const read = () => quietly(() => learnedHeads(file, shape));
  assert.deepEqual(await read(), { value: {}, warnings: [] });
  lay({ model: await contentHash(file.files), sinks: 64, window: 256, gates });
  assert.deepEqual(await read(), { value: { gates, calibration: undefined }, warnings: [] });
  for (const [wrong, why] of [
    [{ model: "another", gates }, /other weights/],
    [{ model: await contentHash(file.files), gates: [[0.2, 1]] }, /not those of its heads/],
    [{ model: await contentHash(file.files), gates: [[0.2], [1]] }, /not those of its heads/],
    [
      {
        model: await contentHash(file.files),
        gates: [
          [0.2, 1],
          [2, 0],
        ],
      },
      /not those of its heads/,
    ],
    [7, /not those of its heads/],
  ] as const) {
    lay(wrong);
    const { value, warnings } = await read();
    assert.deepEqual(value, {});
    assert.equal(warnings.length, 1);
    assert.match(warnings[0], why);
  }
});

test("heads that profit from damped sinks are read from beside the model, with gates or without", async () => {
  const { file, lay } = model("b.gguf");
  const own = await contentHash(file.files);
  const calibration = { keep: 0.4, detect: 5, heads: [[1], []] };
  lay({ model: own, gates, calibration });
  assert.deepEqual(await learnedHeads(file, shape), { gates, calibration });
  lay({ model: own, calibration });
  assert.deepEqual(await learnedHeads(file, shape), { gates: undefined, calibration });
  for (const wrong of [
    { ...calibration, keep: 0 },
    { ...calibration, detect: 1 },
    { ...calibration, heads: [[1]] },
    { ...calibration, heads: [[2], []] },
    { ...calibration, heads: 3 },
    null,
  ]) {
    lay({ model: own, gates, calibration: wrong });
    const { value, warnings } = await quietly(() => learnedHeads(file, shape));
    assert.deepEqual(value, {});
    assert.match(warnings[0], /not those of its heads/);
  }
});

test("sinks are damped in the heads that retrieve, if the plan has any of them", () => {
  const split = balancedPlan(config, [[0, 1], [1, 0]]); // biome-ignore format: one row
  assert.deepEqual(withCalibration(split, { keep: 0.4, heads: [[0, 1], [0]] }).calibration, {
    ...{ keep: 0.4, heads: [[1], [0]] },
  });
  assert.equal(withCalibration(split, { keep: 0.4, heads: [[0], []] }), split);
  assert.equal(withCalibration(split, undefined), split);
});

test("a model with gates of its own splits its heads by them, without being checked first", async () => {
  const path = join(folder, "model");
  const made = randomChatModel();
  cpSync(made, path, { recursive: true });
  rmSync(made, { recursive: true });
  await assert.rejects(loadModel(withPlan(path, "split")), /run check-model/);
  const opened = openModelFile(path);
  const own = opened.config as { num_hidden_layers: number; num_key_value_heads: number };
  const some = Array.from({ length: own.num_hidden_layers }, () =>
    Array.from({ length: own.num_key_value_heads }, (_, head) => (head === 0 ? 1 : 0)),
  );
  const content = { model: await contentHash(opened.files), sinks: 64, window: 256, gates: some };
  opened.close();
  writeFileSync(join(path, "longsight-gates.json"), JSON.stringify(content));
  const model = await loadModel(withPlan(path, "split"));
  assert.equal(model.hasGates, true);
  assert.equal(model.encoder!.shape.rowsPerToken, own.num_hidden_layers);
  await model.close();
});

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { readConfig } from "../../../engine/models/config.ts";
import { planConversion, type WeightSetting } from "../../../engine/models/convert.ts";
import { dequantise } from "../../../engine/models/dequantise.ts";
import { openModelFile } from "../../../engine/models/files/open.ts";
import { type OpenModel, openModel } from "../../../engine/models/open-model.ts";
import { relativeError } from "../../../engine/models/quantise.ts";
import { requiredWeights, tensorName } from "../../../engine/models/tensor-names.ts";
import type { DecoderConfig, TensorType } from "../../../engine/models/types.ts";
import {
  assertSame,
  expand,
  SMALL,
  smallGguf,
  smallTensors,
  TINY,
  temporaryCache,
  writeSmallFolder,
} from "./small-model.ts";

/** Writes and opens a model; it is closed after the test. */
async function open(
  t: TestContext,
  write: (path: string) => void,
  weights: WeightSetting = "auto",
): Promise<OpenModel> {
  const path = join(temporaryCache(t), "model");
  write(path);
  const model = await openModel(path, { weights });
  t.after(() => model.close());
  return model;
}

const gguf = (type: TensorType, config = SMALL) => {
  const bytes = smallGguf(type, config);
  return (path: string) => writeFileSync(path, bytes);
};

const folder = (config: DecoderConfig) => (path: string) => writeSmallFolder(path, config);

/** qwen2 keeps its rows in the order of the file, so that they can be compared directly. */
const QWEN: DecoderConfig = { ...SMALL, architecture: "qwen2", qkvBias: true };

/** A tensor of the file as float32. */
function floatsOf({ file }: OpenModel, name: string): Float32Array {
  const { type, shape } = file.tensors.get(name)!;
  const floats = new Float32Array(shape.reduce((product, size) => product * size, 1));
  dequantise(type, file.read(name), floats);
  return floats;
}

const TYPES = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"] as const;

for (const type of TYPES) {
  test(`${type}: exact as float32, and within the reported error in the form chosen for it`, async (t) => {
    const exact = await open(t, gguf(type, QWEN), "f32");
    const model = await open(t, gguf(type, QWEN));
    for (const { name, shape } of requiredWeights(QWEN)) {
      const floats = floatsOf(model, tensorName("gguf", name));
      if (shape.length === 1) {
        assertSame(model.weights.vector(name), floats, name);
        continue;
      }
      assertSame(expand(exact.weights.matrix(name)), floats, name);
      const matrix = model.weights.matrix(name);
      const back = expand(matrix);
      const stored = model.weights.stored.find((weight) => weight.name === name)!;
      const isFloat = ["F32", "F16", "BF16"].includes(type);
      if (isFloat || type === "Q4_0" || type === "Q8_0") {
        assertSame(back, floats, name);
        assert.equal(stored.bits, isFloat ? 32 : type === "Q4_0" ? 4 : 8);
        assert.equal(relativeError(stored.rounding), 0);
        continue;
      }
      const sums = { squaredError: 0, squaredWeights: 0 };
      floats.forEach((weight, i) => {
        sums.squaredError += (weight - back[i]) ** 2;
        sums.squaredWeights += weight ** 2;
      });
      const actual = relativeError(sums);
      assert.ok(Math.abs(relativeError(stored.rounding) - actual) < 1e-3 * actual, `${name}: ${actual}`);
      assert.ok(actual < (matrix.kind === "quant" && matrix.bits === 4 ? 0.05 : 0.01), `${name}: ${actual}`);
    }
  });
}

test("the setting decides the form, but never rounds what fits", async (t) => {
  const formsOf = async (type: TensorType, setting: WeightSetting) => {
    const { weights } = await open(t, gguf(type, QWEN), setting);
    return [...new Set(weights.stored.filter(({ isVector }) => !isVector).map(({ bits }) => bits))];
  };
  assert.deepEqual(await formsOf("F16", "int8"), [8]);
  assert.deepEqual(await formsOf("F16", "int4"), [4]);
  assert.deepEqual(await formsOf("Q8_0", "int4"), [4]);
  assert.deepEqual(await formsOf("Q4_0", "int8"), [4], "four exact bits, not eight rounded ones");
  assert.deepEqual(await formsOf("Q4_0", "f32"), [32]);
});

test("auto keeps small float models exact and makes large ones int8", (t) => {
  const path = join(temporaryCache(t), "model");
  writeFileSync(path, smallGguf("F16", QWEN));
  const file = openModelFile(path);
  t.after(() => file.close());
  const config = readConfig(file);
  const targets = (nLayers: number) => {
    const tensors = new Map(file.tensors);
    // The rows of further layers are described, not read.
    for (let layer = 1; layer < nLayers; layer++) {
      for (const [name, tensor] of file.tensors) tensors.set(name.replace("blk.0", `blk.${layer}`), tensor);
    }
    const plan = planConversion({ ...file, tensors }, { ...config, nLayers }, "auto");
    return [...new Set(plan.filter(({ isVector }) => !isVector).map(({ target }) => target))];
  };
  assert.deepEqual(targets(1), ["f32"]);
  assert.deepEqual(targets(200), [8]);
});

/** A head's rows in the order of GGUF's llama converter: the halves interleaved. Written from the other end. */
function interleaved(data: Uint8Array, rowBytes: number, headSize: number): Uint8Array {
  const out = new Uint8Array(data.length);
  for (let row = 0; row * rowBytes < data.length; row++) {
    const head = Math.floor(row / headSize) * headSize;
    const within = row - head;
    const to = within < headSize / 2 ? 2 * within : 2 * (within - headSize / 2) + 1;
    out.set(data.subarray(row * rowBytes, (row + 1) * rowBytes), (head + to) * rowBytes);
  }
  return out;
}

test("llama's query and key rows come back from GGUF's order, biases included", async (t) => {
  const config: DecoderConfig = { ...TINY, nLayers: 2, nHeads: 4, nKvHeads: 2, headSize: 8, qkvBias: true };
  const straight = await open(t, folder({ ...config, vocabSize: 300 }));
  const bytes = smallGguf("F32", { ...config, vocabSize: 300 });
  const tensors = smallTensors({ ...config, vocabSize: 300 });
  // The weights of both files are the same sequences; in GGUF the rows of q and k are reordered.
  for (const { name, shape } of requiredWeights(config)) {
    if (!/attn_[qk](\.bias)?$/.test(name)) continue;
    const { data } = tensors[tensorName("safetensors", name)];
    const at = bytes.indexOf(data);
    assert.ok(at > 0, name);
    bytes.set(interleaved(data, shape.length === 2 ? shape[1] * 4 : 4, config.headSize), at);
  }
  const model = await open(t, (path) => writeFileSync(path, bytes));
  for (const { name, shape } of requiredWeights(config)) {
    if (shape.length === 1) assertSame(model.weights.vector(name), straight.weights.vector(name), name);
    else assertSame(expand(model.weights.matrix(name)), expand(straight.weights.matrix(name)), name);
  }
});

test("quantised rows are reordered as they are", async (t) => {
  const config: DecoderConfig = { ...SMALL, vocabSize: 258 };
  const plain = await open(t, gguf("Q4_0", { ...config, architecture: "qwen2", qkvBias: true }));
  const llama = await open(t, gguf("Q4_0", config));
  const floats = (model: OpenModel) => expand(model.weights.matrix("blk.0.attn_q"));
  const back = interleaved(new Uint8Array(floats(llama).buffer), config.hiddenSize * 4, config.headSize);
  assertSame(new Float32Array(back.buffer), floats(plain));
});

test("matrices with a common input lie side by side on disk, at multiples of 64", async (t) => {
  const { weights } = await open(t, gguf("Q4_0", QWEN));
  const slices = (names: string[], part: "packedAt" | "scalesAt") =>
    names.map((name) => {
      const matrix = weights.matrix(`blk.0.${name}`);
      assert.ok(matrix.kind === "quant");
      return matrix[part]!;
    });
  for (const group of [
    ["attn_q", "attn_k", "attn_v"],
    ["ffn_gate", "ffn_up"],
  ]) {
    for (const part of ["packedAt", "scalesAt"] as const) {
      const parts = slices(group, part);
      parts.forEach(({ offset, sizeBytes }, i) => {
        assert.equal(offset % 64, 0);
        if (i + 1 < parts.length) assert.equal(offset + sizeBytes, parts[i + 1].offset, `${group[i]} ${part}`);
      });
    }
  }
});

test("a weight that is no finite number is refused by name", async (t) => {
  const bytes = smallGguf("F32", TINY);
  bytes.writeFloatLE(Number.NaN, bytes.length - 128);
  await assert.rejects(
    open(t, (path) => writeFileSync(path, bytes)),
    /damaged or incomplete \(tensor blk\.0\.[a-z_]+\.weight holds a weight that is not a finite number\); download/,
  );
});

/** Small made-up models as files, in any tensor type: every weight is drawn from a fixed sequence. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { byteLengthOf, LAYOUTS } from "../../../engine/models/files/tensor-types.ts";
import { requiredWeights, tensorName } from "../../../engine/models/tensor-names.ts";
import { CHAR_OF_BYTE } from "../../../engine/models/tokenizer/byte-alphabet.ts";
import type { DecoderConfig, Matrix, TensorType } from "../../../engine/models/types.ts";
import { packageRoot } from "../../../engine/paths.ts";
import { dequantise } from "../../../engine/reference.ts";
import { configMetadata, gguf, list, texts as stringList, type TensorEntry, text, type Value } from "./gguf-writer.ts";
import { type Entry, safetensors } from "./safetensors-writer.ts";
import { byteLevelJson } from "./tokenizer/small.ts";

/** A folder that is gone after the test. */
export function temporaryFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "longsight-models-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A temporary folder that is also the cache for converted weights while the test runs. */
export function temporaryCache(context: TestContext): string {
  const folder = temporaryFolder(context);
  const before = process.env.LONGSIGHT_CACHE;
  process.env.LONGSIGHT_CACHE = join(folder, "cache");
  context.after(() => {
    if (before === undefined) delete process.env.LONGSIGHT_CACHE;
    else process.env.LONGSIGHT_CACHE = before;
  });
  return folder;
}

const NO_TOKENS = { "<eos>": 256, "<pad>": 257 };

/** Rows of 256 weights, so that they divide into the blocks of every type. */
export const SMALL: DecoderConfig = {
  architecture: "llama",
  nLayers: 1,
  hiddenSize: 256,
  ffnSize: 256,
  nHeads: 4,
  nKvHeads: 2,
  headSize: 64,
  vocabSize: 258,
  contextLength: 128,
  normEps: 1e-5,
  tiedEmbeddings: false,
  qkvBias: false,
  qkNorm: false,
  rope: { theta: 10_000 },
};

/** The same with rows of 32, for tests that write many files. */
export const TINY: DecoderConfig = { ...SMALL, hiddenSize: 32, ffnSize: 32, nHeads: 2, nKvHeads: 1, headSize: 16 };

/** Uniform numbers from -0.1 to 0.1, the same for every run. */
export function numbers(n: number, seed = 1): Float32Array {
  let state = seed;
  return Float32Array.from({ length: n }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state / 2 ** 32 - 0.5) / 5;
  });
}

/** The float32 weights a matrix stands for, [rows, cols]: every product of level and scale rounded once. */
export const expand = (matrix: Matrix): Float32Array => Float32Array.from(dequantise(matrix));

/** Fails unless the numbers are equal; zeros of either sign are. */
export function assertSame(actual: Float32Array, expected: Float32Array, what?: string): void {
  assert.equal(actual.length, expected.length, what);
  const at = actual.findIndex((value, i) => value !== expected[i]);
  assert.equal(at, -1, `${what}: ${actual[at]} at ${at}, not ${expected[at]}`);
}

/** The bytes of `n` weights: numbers() for F32, otherwise reference blocks in an order that differs between rows. */
export function weightBytes(type: TensorType, n: number, seed = 1): Uint8Array {
  if (type === "F32") return new Uint8Array(numbers(n, seed).buffer);
  const blocks = referenceBlocks(type).bytes;
  const size = LAYOUTS[type].blockBytes;
  const bytes = new Uint8Array(byteLengthOf(type, n));
  for (let block = 0; block * size < bytes.length; block++) {
    const from = ((block * 5 + (block >> 3) * 3 + seed) % (blocks.length / size)) * size;
    bytes.set(blocks.subarray(from, from + size), block * size);
  }
  return bytes;
}

/** Blocks of a type and the floats that the reference implementation makes of them. */
export function referenceBlocks(type: TensorType): { bytes: Uint8Array; floats: Float32Array } {
  const path = join(packageRoot, "test", "fixtures", "quant", `${type}.json`);
  const { bytes, floats } = JSON.parse(readFileSync(path, "utf8")) as { bytes: string; floats: string };
  return {
    bytes: Buffer.from(bytes, "hex"),
    floats: new Float32Array(new Uint8Array(Buffer.from(floats, "hex")).buffer),
  };
}

/** A byte-level tokenizer without merges, as GGUF metadata. */
export const TOKENIZER: Readonly<Record<string, Value>> = {
  "tokenizer.ggml.model": text("gpt2"),
  "tokenizer.ggml.pre": text("gpt-2"),
  "tokenizer.ggml.tokens": stringList([...CHAR_OF_BYTE, ...Object.keys(NO_TOKENS)]),
  "tokenizer.ggml.token_type": list("i32", [...CHAR_OF_BYTE.map(() => 1), 3, 3]),
  "tokenizer.ggml.merges": stringList([]),
  "tokenizer.ggml.eos_token_id": { type: "u32", value: NO_TOKENS["<eos>"] },
};

/** A GGUF file's bytes: matrices in the given type, vectors in F32, then further tensors. */
export function smallGguf(
  type: TensorType = "F32",
  config: DecoderConfig = SMALL,
  metadata: Readonly<Record<string, Value>> = TOKENIZER,
  more: readonly (TensorEntry & { readonly data: Uint8Array })[] = [],
): Buffer {
  const tensors = [...requiredWeights(config)].map(({ name, shape }, i) => {
    const stored = shape.length === 2 ? type : "F32";
    const n = shape.reduce<number>((product, size) => product * size, 1);
    return { name: tensorName("gguf", name), type: stored, shape, data: weightBytes(stored, n, i + 1) };
  });
  return gguf({ ...configMetadata(config), ...metadata }, [...tensors, ...more]);
}

/** The tensors of a safetensors model, all F32. */
export function smallTensors(config: DecoderConfig): Record<string, Entry> {
  return Object.fromEntries(
    [...requiredWeights(config)].map(({ name, shape }, i) => {
      const n = shape.reduce<number>((product, size) => product * size, 1);
      return [tensorName("safetensors", name), { dtype: "F32", shape, data: weightBytes("F32", n, i + 1) }];
    }),
  );
}

/** config.json's settings. */
export function smallSettings(config: DecoderConfig): Record<string, unknown> {
  return {
    model_type: config.architecture,
    num_hidden_layers: config.nLayers,
    hidden_size: config.hiddenSize,
    intermediate_size: config.ffnSize,
    num_attention_heads: config.nHeads,
    num_key_value_heads: config.nKvHeads,
    head_dim: config.headSize,
    vocab_size: config.vocabSize,
    max_position_embeddings: config.contextLength,
    rms_norm_eps: config.normEps,
    rope_theta: config.rope.theta,
    tie_word_embeddings: config.tiedEmbeddings,
  };
}

/** Writes a safetensors folder with a tokenizer; the vocabulary must have room for it. */
export function writeSmallFolder(folder: string, config: DecoderConfig, tensors = smallTensors(config)): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "config.json"), JSON.stringify(smallSettings(config)));
  writeFileSync(join(folder, "model.safetensors"), safetensors(tensors));
  writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(byteLevelJson()));
}

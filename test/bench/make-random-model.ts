/**
 * Writes a GGUF of random Q4_0 weights in the shape of Qwen2.5-0.5B: the same speed and memory as the real model, and
 * nothing sensible to say. llama.cpp loads it too. The tokenizer comes from the third-party test data.
 *
 *   node test/bench/make-random-model.ts OUT.gguf
 */
import { execFileSync } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { requiredWeights, tensorName } from "../../engine/models/tensor-names.ts";
import type { DecoderConfig } from "../../engine/models/types.ts";
import { testData } from "../data.ts";
import {
  aligned,
  configMetadata,
  ggufHeader,
  list,
  sizeOf,
  type TensorEntry,
  text,
  texts,
  u32,
  type Value,
} from "../unit/models/gguf-writer.ts";

export const QWEN_0_5B: DecoderConfig = {
  architecture: "qwen2",
  nLayers: 24,
  hiddenSize: 896,
  ffnSize: 4864,
  nHeads: 14,
  nKvHeads: 2,
  headSize: 64,
  vocabSize: 151_936,
  contextLength: 32_768,
  normEps: 1e-6,
  tiedEmbeddings: true,
  qkvBias: true,
  qkNorm: false,
  rope: { theta: 1_000_000 },
};

/** The standard deviation of the weights: that of Qwen2.5-0.5B's matrices, about. */
const DEVIATION = 0.02;

/** GGUF's token types. */
const NORMAL = 1;
const CONTROL = 3;
const UNUSED = 5;

/** Writes the model; throws where the tokenizer data is absent. */
export function makeRandomModel(path: string, config: DecoderConfig = QWEN_0_5B): void {
  const tensors = [...requiredWeights(config)].map(
    ({ name, shape }): TensorEntry => ({
      name: tensorName("gguf", name),
      type: shape.length === 2 ? "Q4_0" : "F32",
      shape,
    }),
  );
  const descriptor = openSync(path, "w");
  try {
    writeSync(descriptor, ggufHeader(metadata(config), tensors));
    for (const tensor of tensors) writeTensor(descriptor, tensor);
  } finally {
    closeSync(descriptor);
  }
}

function metadata(config: DecoderConfig): Record<string, Value> {
  const { tokens, types, merges } = vocabulary(config.vocabSize);
  return {
    ...configMetadata(config),
    "general.name": text("random weights"),
    "general.file_type": u32(2),
    "tokenizer.ggml.model": text("gpt2"),
    "tokenizer.ggml.pre": text("qwen2"),
    "tokenizer.ggml.tokens": texts(tokens),
    "tokenizer.ggml.token_type": list("i32", types),
    "tokenizer.ggml.merges": texts(merges),
    "tokenizer.ggml.bos_token_id": u32(tokens.indexOf("<|endoftext|>")),
    "tokenizer.ggml.eos_token_id": u32(tokens.indexOf("<|im_end|>")),
    "tokenizer.ggml.add_bos_token": { type: "bool", value: false },
  };
}

/** Qwen2's vocabulary, filled up to the model's size with tokens that do not occur. */
function vocabulary(size: number): { tokens: string[]; types: number[]; merges: string[] } {
  const read = (name: string) => readFileSync(testData(`tokenizers/qwen2/${name}`).path, "utf8");
  const tokens = Array.from({ length: size }, (_, id) => `[PAD${id}]`);
  const types = Array.from({ length: size }, () => UNUSED);
  for (const [token, id] of Object.entries(JSON.parse(read("vocab.json")) as Record<string, number>)) {
    tokens[id] = token;
    types[id] = NORMAL;
  }
  const { added_tokens_decoder: added } = JSON.parse(read("tokenizer_config.json"));
  for (const [id, token] of Object.entries(added as Record<string, { content: string }>)) {
    tokens[Number(id)] = token.content;
    types[Number(id)] = CONTROL;
  }
  return {
    tokens,
    types,
    merges: read("merges.txt")
      .split("\n")
      .filter((line) => line.includes(" ")),
  };
}

/**
 * Runs a benchmark's file in a process of its own, with a random model and a folder for a store as its arguments; what it
 * prints, as JSON.
 */
export function withRandomModel<T>(benchmark: string): T {
  const dir = mkdtempSync(join(tmpdir(), "longsight-bench-"));
  try {
    const path = join(dir, "random.gguf");
    makeRandomModel(path);
    const env = { ...process.env, LONGSIGHT_CACHE: join(dir, "cache") };
    const args = ["--disable-warning=ExperimentalWarning", benchmark, path, join(dir, "store")];
    return JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8", env })) as T;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function writeTensor(descriptor: number, tensor: TensorEntry): void {
  const bytes = Buffer.alloc(aligned(sizeOf(tensor)));
  if (tensor.type === "F32") {
    const value = tensor.name.endsWith("norm.weight") ? 1 : 0;
    for (let at = 0; at < sizeOf(tensor); at += 4) bytes.writeFloatLE(value, at);
  } else {
    randomFillSync(bytes);
    // Uniform levels from -8 to 7 deviate by 4.6 from 0.
    const scale = Buffer.from(new Uint16Array([halfBits(DEVIATION / 4.6)]).buffer);
    for (let at = 0; at < sizeOf(tensor); at += 18) scale.copy(bytes, at);
  }
  for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done);
}

/** The half-precision bits of a number between 2^-14 and 1, cut off. */
function halfBits(value: number): number {
  const exponent = Math.floor(Math.log2(value));
  return ((exponent + 15) << 10) | Math.floor((value / 2 ** exponent - 1) * 1024);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const path = process.argv[2];
  if (!path) throw new Error("Usage: node test/bench/make-random-model.ts OUT.gguf");
  makeRandomModel(path);
}

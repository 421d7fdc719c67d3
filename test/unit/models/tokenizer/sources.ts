/** Third-party vocabularies for the tokenizer tests. */
import { readFileSync } from "node:fs";
import { gguf } from "@huggingface/gguf";
import { loadTokenizerFolder } from "../../../../engine/models/tokenizer/folder.ts";
import { type GgufValues, tokenizerFromGguf } from "../../../../engine/models/tokenizer/gguf.ts";
import type { ModelTokenizer } from "../../../../engine/models/tokenizer/tokenizer.ts";
import { testData } from "../../../data.ts";

export const NAMES = ["gpt-2", "llama-bpe", "qwen2", "deepseek-coder", "starcoder", "llama-spm", "phi-3"] as const;
export type Name = (typeof NAMES)[number];

/** node:test's `skip` value for tests that need any of these vocabularies. */
export const skip = testData("tokenizers").skip;

/** The metadata of a vocabulary file, read by a reader that is not ours. */
export async function ggufValues(name: Name): Promise<Map<string, unknown>> {
  const { metadata } = await gguf(testData(`tokenizers/ggml-vocab-${name}.gguf`).path, { allowLocalFile: true });
  return new Map(Object.entries(metadata));
}

/** Llama 3's vocabulary and merges as a GGUF file would hold them. */
export function llama3Values(): GgufValues {
  const folder = testData("tokenizers/llama3").path;
  const vocab = JSON.parse(readFileSync(`${folder}/encoder.json`, "utf8")) as Record<string, number>;
  const tokens = Object.keys(vocab).sort((a, b) => vocab[a] - vocab[b]);
  const merges = readFileSync(`${folder}/vocab.bpe`, "utf8").split("\n").filter(Boolean);
  return new Map<string, unknown>([
    ["tokenizer.ggml.model", "gpt2"],
    ["tokenizer.ggml.pre", "llama-bpe"],
    ["tokenizer.ggml.tokens", tokens],
    ["tokenizer.ggml.merges", merges],
  ]);
}

const loaded = new Map<Name, Promise<ModelTokenizer>>();

/** The tokenizer of a vocabulary, loaded once. */
export function tokenizerOf(name: Name): Promise<ModelTokenizer> {
  const tokenizer = loaded.get(name) ?? load(name);
  loaded.set(name, tokenizer);
  return tokenizer;
}

async function load(name: Name): Promise<ModelTokenizer> {
  if (name === "llama-bpe") return tokenizerFromGguf(llama3Values());
  if (name === "qwen2") return loadTokenizerFolder(testData("tokenizers/qwen2").path);
  return tokenizerFromGguf(await ggufValues(name));
}

/** llama.cpp's test cases of a vocabulary: texts and the ids they must give. */
export function vectorsOf(name: Name): { text: string; ids: number[] }[] {
  const path = testData(`tokenizers/ggml-vocab-${name}.gguf`).path;
  const texts = readFileSync(`${path}.inp`, "utf8").split("\n__ggml_vocab_test__\n");
  const lines = readFileSync(`${path}.out`, "utf8").split("\n");
  return texts.map((text, i) => ({ text, ids: lines[i].split(" ").filter(Boolean).map(Number) }));
}

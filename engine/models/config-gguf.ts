/** DecoderConfig from GGUF metadata, with the defaults llama.cpp applies. */
import { architectureOf, Settings } from "./config-values.ts";
import { damaged } from "./files/byte-file.ts";
import type { ModelFile } from "./files/model-file.ts";
import { ropeFromGguf } from "./rope-config.ts";
import type { DecoderConfig } from "./types.ts";

/** Reads the settings; throws unsupported or bad-model. Shapes are checked by readConfig. */
export function configFromGguf(file: ModelFile): DecoderConfig {
  const architecture = architectureOf(file.path, file.metadata.get("general.architecture"));
  const settings = new Settings(file.path, (key) => uniform(file, `${architecture}.${key}`));
  if (settings.get("expert_count")) throw settings.unsupported("a mixture of experts");
  const embedding = file.tensors.get("token_embd.weight");
  if (embedding === undefined) throw damaged(file.path, "tensor token_embd.weight is missing");
  const hiddenSize = settings.size("embedding_length");
  const nHeads = settings.size("attention.head_count");
  const headSize = settings.size("attention.key_length", hiddenSize / nHeads);
  if (settings.size("attention.value_length", headSize) !== headSize) {
    throw settings.unsupported("value heads of another size than its key heads");
  }
  if (settings.size("rope.dimension_count", headSize) !== headSize) {
    throw settings.unsupported("positions on a part of each head only");
  }
  return {
    architecture,
    nLayers: settings.size("block_count"),
    hiddenSize,
    ffnSize: settings.size("feed_forward_length"),
    nHeads,
    nKvHeads: settings.size("attention.head_count_kv", nHeads),
    headSize,
    vocabSize: embedding.shape[0],
    contextLength: settings.size("context_length"),
    normEps: settings.positive("attention.layer_norm_rms_epsilon"),
    tiedEmbeddings: !file.tensors.has("output.weight"),
    qkvBias: file.tensors.has("blk.0.attn_q.bias"),
    qkNorm: architecture === "qwen3",
    rope: ropeFromGguf(file, settings, headSize),
  };
}

/** A metadata value; an array that repeats one value for every layer counts as that value. */
function uniform(file: ModelFile, key: string): unknown {
  const value = file.metadata.get(key);
  if (!Array.isArray(value)) return value;
  if (value.length > 0 && value.every((item) => item === value[0])) return value[0];
  throw new Settings(file.path, () => undefined).unsupported(`layers that differ in ${key}`);
}

/** DecoderConfig from config.json, as transformers 4 and 5 write it, with transformers' defaults. */
import { architectureOf, Settings } from "./config-values.ts";
import type { ModelFile } from "./files/model-file.ts";
import { isObject } from "./files/small-file.ts";
import { shown } from "./messages.ts";
import { ropeFromHuggingFace } from "./rope-config.ts";
import type { DecoderConfig } from "./types.ts";

/** Reads the settings; throws unsupported or bad-model. Shapes are checked by readConfig. */
export function configFromHuggingFace(file: ModelFile): DecoderConfig {
  const config = file.config ?? {};
  const settings = new Settings(file.path, () => undefined).nested(config);
  const architecture = architectureOf(file.path, settings.get("model_type") ?? settings.get("architecture"));
  rejectVariants(settings);
  const hiddenSize = settings.size("hidden_size");
  const nHeads = settings.size("num_attention_heads");
  const headSize = settings.size("head_dim", architecture === "qwen3" ? 128 : hiddenSize / nHeads);
  const tied = settings.get("tie_word_embeddings") ?? !file.tensors.has("lm_head.weight");
  return {
    architecture,
    nLayers: settings.size("num_hidden_layers"),
    hiddenSize,
    ffnSize: settings.size("intermediate_size"),
    nHeads,
    nKvHeads: settings.size("num_key_value_heads", nHeads),
    headSize,
    vocabSize: settings.size("vocab_size"),
    contextLength: settings.size("max_position_embeddings"),
    normEps: settings.positive("rms_norm_eps", 1e-6),
    tiedEmbeddings: tied === true,
    qkvBias: file.tensors.has("model.layers.0.self_attn.q_proj.bias"),
    qkNorm: architecture === "qwen3",
    rope: ropeFromHuggingFace(settings),
  };
}

/** Throws unsupported for settings that change the arithmetic of a known architecture. */
function rejectVariants(settings: Settings): void {
  const activation = settings.get("hidden_act") ?? "silu";
  if (activation !== "silu") throw settings.unsupported(`the activation ${shown(activation)}`);
  const quantization = settings.get("quantization_config");
  if (isObject(quantization)) {
    const remedy = "choose its GGUF or its unquantised files";
    throw settings.unsupported(`the quantisation ${shown(quantization.quant_method)}`, remedy);
  }
  const layerTypes = settings.get("layer_types");
  const sliding = Array.isArray(layerTypes)
    ? layerTypes.some((type) => type !== "full_attention")
    : settings.get("use_sliding_window") === true;
  if (sliding) throw settings.unsupported("sliding-window layers");
}

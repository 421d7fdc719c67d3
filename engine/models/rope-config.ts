/** RoPE settings from GGUF metadata and from config.json. Sources: RoFormer, YaRN (section 3), Llama 3.1. */
import type { Settings } from "./config-values.ts";
import { dequantise } from "./dequantise.ts";
import { damaged } from "./files/byte-file.ts";
import type { ModelFile } from "./files/model-file.ts";
import { isObject } from "./files/small-file.ts";
import { shown } from "./messages.ts";
import type { RopeConfig } from "./types.ts";

const DEFAULT_THETA = 10_000;

/** YaRN's recommended attention factor for a context extended `factor` times (equation 22). */
const yarnAttentionFactor = (factor: number, scale = 1) => (factor <= 1 ? 1 : 0.1 * scale * Math.log(factor) + 1);

/** RoPE settings as llama.cpp reads them; throws unsupported or bad-model. */
export function ropeFromGguf(file: ModelFile, settings: Settings, headSize: number): RopeConfig {
  const theta = settings.positive("rope.freq_base", DEFAULT_THETA);
  const isOld = settings.get("rope.scale_linear") && !settings.get("rope.scaling.factor");
  const factorKey = isOld ? "rope.scale_linear" : "rope.scaling.factor";
  const kind = settings.get("rope.scaling.type") ?? (settings.get(factorKey) ? "linear" : "none");
  if (file.tensors.has("rope_freqs.weight")) {
    if (kind !== "none") throw settings.unsupported(`frequency factors together with the RoPE scaling ${shown(kind)}`);
    return { theta, scaling: { kind: "factors", factors: readFactors(file, headSize) } };
  }
  if (kind === "none") return { theta };
  if (kind === "linear") return { theta, scaling: { kind, factor: settings.positive(factorKey) } };
  if (kind !== "yarn") throw settings.unsupported(`the RoPE scaling ${shown(kind)}`);
  if (settings.get("rope.scaling.yarn_log_multiplier")) throw settings.unsupported("YaRN with a log multiplier");
  const yarnFactor = settings.positive("rope.scaling.factor");
  return {
    theta,
    scaling: {
      kind,
      factor: yarnFactor,
      originalContextLength: settings.size("rope.scaling.original_context_length", settings.size("context_length")),
      betaFast: settings.positive("rope.scaling.yarn_beta_fast", 32),
      betaSlow: settings.positive("rope.scaling.yarn_beta_slow", 1),
      attentionFactor: settings.positive("rope.scaling.attn_factor", 1) * yarnAttentionFactor(yarnFactor),
    },
  };
}

function readFactors(file: ModelFile, headSize: number): number[] {
  const tensor = file.tensors.get("rope_freqs.weight");
  if (tensor?.type !== "F32" || tensor.shape.join() !== String(headSize / 2)) {
    throw damaged(file.path, `tensor rope_freqs.weight does not hold ${headSize / 2} F32 factors`);
  }
  const factors = new Float32Array(headSize / 2);
  dequantise("F32", file.read("rope_freqs.weight"), factors);
  if (!factors.every((factor) => Number.isFinite(factor) && factor > 0)) {
    throw damaged(file.path, "tensor rope_freqs.weight holds a factor that is not above 0");
  }
  return [...factors];
}

/** RoPE settings as transformers reads them (rope_theta and rope_scaling, or rope_parameters); throws as above. */
export function ropeFromHuggingFace(config: Settings): RopeConfig {
  const raw = config.get("rope_parameters") ?? config.get("rope_scaling") ?? {};
  if (!isObject(raw)) throw damaged(config.path, "its RoPE settings are not a JSON object");
  if (Object.values(raw).some(isObject)) throw config.unsupported("RoPE settings that differ between layers");
  const settings = config.nested(raw);
  const theta = settings.positive("rope_theta", config.positive("rope_theta", DEFAULT_THETA));
  const kind = settings.get("rope_type") ?? settings.get("type") ?? "default";
  const partial = settings.get("partial_rotary_factor") ?? config.get("partial_rotary_factor") ?? 1;
  if (partial !== 1) throw config.unsupported("positions on a part of each head only");
  const originalContextLength = () =>
    settings.size("original_max_position_embeddings", config.size("max_position_embeddings"));
  switch (kind) {
    case "default":
      return { theta };
    case "linear":
      return { theta, scaling: { kind: "linear", factor: settings.positive("factor") } };
    case "llama3":
      return {
        theta,
        scaling: {
          kind: "llama3",
          factor: settings.positive("factor"),
          lowFreqFactor: settings.positive("low_freq_factor"),
          highFreqFactor: settings.positive("high_freq_factor"),
          originalContextLength: originalContextLength(),
        },
      };
    case "yarn":
      return { theta, scaling: yarn(config, settings, originalContextLength()) };
    default:
      throw config.unsupported(`the RoPE scaling ${shown(kind)}`);
  }
}

function yarn(config: Settings, settings: Settings, originalContextLength: number): RopeConfig["scaling"] {
  if (settings.get("truncate") === false) throw config.unsupported("YaRN without truncation");
  const factor = settings.positive("factor", config.size("max_position_embeddings") / originalContextLength);
  const scaled =
    settings.get("mscale") && settings.get("mscale_all_dim")
      ? yarnAttentionFactor(factor, settings.positive("mscale")) /
        yarnAttentionFactor(factor, settings.positive("mscale_all_dim"))
      : yarnAttentionFactor(factor);
  return {
    kind: "yarn",
    factor,
    originalContextLength,
    betaFast: settings.positive("beta_fast", 32),
    betaSlow: settings.positive("beta_slow", 1),
    attentionFactor: settings.positive("attention_factor", scaled),
  };
}

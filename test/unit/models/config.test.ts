import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { LongsightError } from "../../../engine/errors.ts";
import { readConfig } from "../../../engine/models/config.ts";
import { openModelFile } from "../../../engine/models/files/open.ts";
import type { DecoderConfig, RopeConfig } from "../../../engine/models/types.ts";
import { packageRoot } from "../../../engine/paths.ts";
import { f32, gguf, list, type TensorEntry, text, u32, type Value } from "./gguf-writer.ts";
import { type Entry, safetensors } from "./safetensors-writer.ts";
import { smallGguf, smallSettings, smallTensors, TINY, temporaryFolder, weightBytes } from "./small-model.ts";

type Metadata = Readonly<Record<string, Value>>;
type Settings = Readonly<Record<string, unknown>>;

/** The configuration of a GGUF file of TINY's shape with some metadata changed. */
function fromGguf(t: TestContext, metadata: Metadata, config: DecoderConfig = TINY): DecoderConfig {
  return read(t, smallGguf("F32", config, metadata));
}

function read(t: TestContext, bytes: Uint8Array): DecoderConfig {
  const path = join(temporaryFolder(t), "model.gguf");
  writeFileSync(path, bytes);
  return readAt(path);
}

function readAt(path: string): DecoderConfig {
  const file = openModelFile(path);
  try {
    return readConfig(file);
  } finally {
    file.close();
  }
}

/** The configuration of a safetensors folder of TINY's shape with some settings or tensors changed. */
function fromFolder(
  t: TestContext,
  settings: Settings,
  config: DecoderConfig = TINY,
  tensors: Record<string, Entry> = smallTensors(config),
): DecoderConfig {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, "config.json"), JSON.stringify({ ...smallSettings(config), ...settings }));
  writeFileSync(join(folder, "model.safetensors"), safetensors(tensors));
  return readAt(folder);
}

function refused(run: () => unknown, code: LongsightError["code"], sentence: RegExp): void {
  assert.throws(run, (error) => {
    assert.ok(error instanceof LongsightError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, sentence);
    return true;
  });
}

/** GGUF holds float32 numbers. */
const rounded = (config: DecoderConfig): DecoderConfig => ({ ...config, normEps: Math.fround(config.normEps) });

const VARIANTS: readonly DecoderConfig[] = [
  TINY,
  { ...TINY, tiedEmbeddings: true },
  { ...TINY, architecture: "qwen2", qkvBias: true },
  { ...TINY, architecture: "qwen2", qkvBias: true, tiedEmbeddings: true },
  { ...TINY, architecture: "qwen3", qkNorm: true },
  { ...TINY, nLayers: 3, rope: { theta: 500_000 } },
];

test("every architecture, tied or not, is read the same from both formats", (t) => {
  for (const config of VARIANTS) {
    assert.deepEqual(fromGguf(t, {}, config), rounded(config));
    assert.deepEqual(fromFolder(t, {}, config), config);
  }
});

test("a head size of its own is read from both formats", (t) => {
  const config: DecoderConfig = { ...TINY, architecture: "qwen3", qkNorm: true, headSize: 32 };
  const lengths = { "qwen3.attention.key_length": u32(32), "qwen3.attention.value_length": u32(32) };
  assert.deepEqual(fromGguf(t, lengths, config), rounded(config));
  assert.deepEqual(fromFolder(t, {}, config), config);
});

test("defaults are those of the programs that wrote the files", (t) => {
  const { tie_word_embeddings: _, rope_theta: __, ...sparse } = smallSettings({ ...TINY, nKvHeads: 2 });
  const settings = { ...sparse, rms_norm_eps: undefined, num_key_value_heads: undefined, head_dim: undefined };
  const config = fromFolder(t, { ...settings, rope_theta: undefined }, { ...TINY, nKvHeads: 2 });
  assert.deepEqual(config, { ...TINY, nKvHeads: 2, normEps: 1e-6, rope: { theta: 10_000 } });
  const tied = { ...TINY, tiedEmbeddings: true };
  assert.equal(fromFolder(t, { tie_word_embeddings: undefined }, tied).tiedEmbeddings, true);
  const perLayer = { "llama.attention.head_count_kv": list("u32", [1, 1]), "llama.block_count": u32(1) };
  assert.equal(fromGguf(t, perLayer).nKvHeads, 1);
});

test("RoPE variants in GGUF metadata", (t) => {
  const scaled = (entries: Record<string, Value>) =>
    fromGguf(t, Object.fromEntries(Object.entries(entries).map(([key, value]) => [`llama.rope.${key}`, value]))).rope;
  const theta = 10_000;
  assert.deepEqual(scaled({}), { theta });
  assert.deepEqual(scaled({ "scaling.type": text("none") }), { theta });
  assert.deepEqual(scaled({ freq_base: f32(5e5) }), { theta: 5e5 });
  const linear: RopeConfig = { theta, scaling: { kind: "linear", factor: 4 } };
  assert.deepEqual(scaled({ "scaling.type": text("linear"), "scaling.factor": f32(4) }), linear);
  assert.deepEqual(scaled({ scale_linear: f32(4) }), linear);
  const yarn = { "scaling.type": text("yarn"), "scaling.factor": f32(4), "scaling.original_context_length": u32(64) };
  assert.deepEqual(scaled(yarn).scaling, {
    ...{ kind: "yarn", factor: 4, originalContextLength: 64, betaFast: 32, betaSlow: 1 },
    attentionFactor: 0.1 * Math.log(4) + 1,
  });
  refused(
    () => scaled({ "scaling.type": text("longrope") }),
    "unsupported",
    /needs the RoPE scaling "longrope", which/,
  );
  refused(() => scaled({ "scaling.type": text("linear") }), "bad-model", /its setting rope.scaling.factor is missing/);
  refused(() => scaled({ freq_base: f32(Number.NaN) }), "bad-model", /its setting rope.freq_base is NaN/);
  refused(() => scaled({ dimension_count: u32(8) }), "unsupported", /positions on a part of each head/);
});

test("Llama 3's frequency factors come from their tensor", (t) => {
  const withFactors = (type: "F32" | "F16", data: Uint8Array, metadata: Metadata = {}, n = 8): RopeConfig => {
    const tensor: TensorEntry & { data: Uint8Array } = { name: "rope_freqs.weight", type, shape: [n], data };
    return read(t, smallGguf("F32", TINY, metadata, [tensor])).rope;
  };
  const factors = Float32Array.of(1, 1, 1.5, 2, 4, 8, 8, 8);
  const bytes = (values: Float32Array) => new Uint8Array(values.buffer);
  assert.deepEqual(withFactors("F32", bytes(factors)).scaling, { kind: "factors", factors: [...factors] });
  refused(() => withFactors("F32", bytes(factors.subarray(0, 4).slice()), {}, 4), "bad-model", /does not hold 8 F32/);
  refused(() => withFactors("F16", new Uint8Array(16)), "bad-model", /does not hold 8 F32 factors/);
  refused(() => withFactors("F32", bytes(factors.fill(0, 3))), "bad-model", /holds a factor that is not above 0/);
  const linear = { "llama.rope.scaling.type": text("linear"), "llama.rope.scaling.factor": f32(2) };
  refused(() => withFactors("F32", bytes(factors.fill(1)), linear), "unsupported", /frequency factors together with/);
});

test("RoPE variants in config.json, as transformers 4 and 5 write them", (t) => {
  const scaled = (settings: Settings) => fromFolder(t, settings).rope;
  const theta = 10_000;
  assert.deepEqual(scaled({ rope_scaling: null }), { theta });
  assert.deepEqual(scaled({ rope_parameters: { rope_type: "default", rope_theta: 7 } }), { theta: 7 });
  assert.deepEqual(scaled({ rope_scaling: { type: "linear", factor: 4 } }).scaling, { kind: "linear", factor: 4 });
  const llama3 = { rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4 };
  assert.deepEqual(scaled({ rope_scaling: { ...llama3, original_max_position_embeddings: 64 } }).scaling, {
    ...{ kind: "llama3", factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalContextLength: 64 },
  });
  const yarn = { rope_type: "yarn", original_max_position_embeddings: 32 };
  assert.deepEqual(scaled({ rope_scaling: yarn }).scaling, {
    // The factor is the context length over the original one.
    ...{ kind: "yarn", factor: 4, originalContextLength: 32, betaFast: 32, betaSlow: 1 },
    attentionFactor: 0.1 * Math.log(4) + 1,
  });
  const mscale = scaled({ rope_scaling: { ...yarn, factor: 2, mscale: 2, mscale_all_dim: 1, beta_fast: 16 } }).scaling;
  assert.deepEqual(mscale, {
    ...{ kind: "yarn", factor: 2, originalContextLength: 32, betaFast: 16, betaSlow: 1 },
    attentionFactor: (0.2 * Math.log(2) + 1) / (0.1 * Math.log(2) + 1),
  });
  refused(() => scaled({ rope_scaling: { rope_type: "dynamic", factor: 2 } }), "unsupported", /RoPE scaling "dynamic"/);
  refused(() => scaled({ rope_scaling: { type: "linear" } }), "bad-model", /its setting factor is missing/);
  refused(() => scaled({ rope_scaling: [1] }), "bad-model", /RoPE settings are not a JSON object/);
  refused(() => scaled({ rope_parameters: { full_attention: {} } }), "unsupported", /differ between layers/);
  refused(() => scaled({ partial_rotary_factor: 0.5 }), "unsupported", /a part of each head/);
  refused(() => scaled({ rope_scaling: { ...yarn, truncate: false } }), "unsupported", /YaRN without truncation/);
});

test("the checkpoints that transformers wrote", () => {
  const folder = join(packageRoot, "test", "fixtures", "models");
  const expected: Record<string, Partial<DecoderConfig>> = {
    llama: { architecture: "llama", tiedEmbeddings: false, qkvBias: false, qkNorm: false },
    "llama-tied": { architecture: "llama", tiedEmbeddings: true },
    qwen2: { architecture: "qwen2", tiedEmbeddings: false, qkvBias: true },
    "qwen2-tied": { architecture: "qwen2", tiedEmbeddings: true, qkvBias: true },
    qwen3: { architecture: "qwen3", tiedEmbeddings: false, qkNorm: true },
    "qwen3-tied": { architecture: "qwen3", tiedEmbeddings: true, qkNorm: true },
  };
  for (const [name, values] of Object.entries(expected)) {
    const config = readAt(join(folder, name));
    for (const [key, value] of Object.entries(values)) assert.equal(config[key as keyof DecoderConfig], value, name);
    const raw = JSON.parse(readFileSync(join(folder, name, "config.json"), "utf8")) as Record<string, unknown>;
    assert.equal(config.hiddenSize, raw.hidden_size);
    assert.equal(config.nKvHeads, raw.num_key_value_heads);
  }
  assert.equal(readAt(join(folder, "llama-rope-llama3")).rope.scaling?.kind, "llama3");
  assert.equal(readAt(join(folder, "llama-rope-yarn")).rope.scaling?.kind, "yarn");
});

test("an architecture, a variant or a tensor that Longsight does not know is named", (t) => {
  const only = (metadata: Metadata) => () => read(t, gguf(metadata, []));
  refused(
    only({ "general.architecture": text("mamba") }),
    "unsupported",
    /has the architecture "mamba"; choose a model/,
  );
  refused(only({ "general.architecture": text("x".repeat(1e5)) }), "unsupported", /^.{0,300}$/);
  refused(only({}), "bad-model", /it does not name its architecture/);
  refused(() => fromFolder(t, { model_type: "gemma3" }), "unsupported", /has the architecture "gemma3"; choose/);
  refused(() => fromFolder(t, { model_type: undefined }), "bad-model", /it does not name its architecture/);
  refused(() => fromGguf(t, { "llama.expert_count": u32(8) }), "unsupported", /needs a mixture of experts, which/);
  refused(() => fromFolder(t, { hidden_act: "gelu" }), "unsupported", /needs the activation "gelu", which/);
  const quantised = { quantization_config: { quant_method: "awq" } };
  refused(
    () => fromFolder(t, quantised),
    "unsupported",
    /the quantisation "awq", .*; choose its GGUF or its unquantised/,
  );
  refused(() => fromFolder(t, { use_sliding_window: true }), "unsupported", /sliding-window layers/);
  refused(() => fromFolder(t, { layer_types: ["sliding_attention"] }), "unsupported", /sliding-window layers/);
  assert.deepEqual(fromFolder(t, { layer_types: ["full_attention"], use_sliding_window: true }), TINY);
  const uneven = { "llama.attention.head_count_kv": list("u32", [1, 2]) };
  refused(() => fromGguf(t, uneven), "unsupported", /layers that differ in llama.attention.head_count_kv/);
  const extra: Entry = { dtype: "F32", shape: [32], data: weightBytes("F32", 32) };
  const tensors = { ...smallTensors(TINY), "model.layers.0.self_attn.sinks": extra };
  refused(
    () => fromFolder(t, {}, TINY, tensors),
    "unsupported",
    /has the tensor model.layers.0.self_attn.sinks, which no/,
  );
});

test("tensors that repeat what the settings say are allowed", (t) => {
  const tied = { ...TINY, tiedEmbeddings: true };
  const tensors = smallTensors(tied);
  const repeated = {
    ...tensors,
    "lm_head.weight": tensors["model.embed_tokens.weight"],
    "model.layers.0.self_attn.rotary_emb.inv_freq": { dtype: "F32", shape: [8], data: weightBytes("F32", 8) },
  };
  assert.deepEqual(fromFolder(t, {}, tied, repeated), tied);
});

test("settings out of range and tensors that contradict them are refused", (t) => {
  const setting = (key: string, value: unknown) => () => fromFolder(t, { [key]: value });
  for (const value of [0, -1, 2.5, 2 ** 40, "32", null, [], true]) {
    refused(setting("hidden_size", value), "bad-model", /its setting hidden_size is /);
  }
  refused(setting("rms_norm_eps", 0), "bad-model", /its setting rms_norm_eps is 0/);
  refused(setting("hidden_size", 64), "bad-model", /has the shape \[258,32\], the settings say \[258,64\]/);
  refused(setting("num_key_value_heads", 3), "bad-model", /2 query heads do not divide into 3 key heads/);
  refused(setting("head_dim", 15), "bad-model", /its head size 15 is odd/);
  refused(setting("num_hidden_layers", 2), "bad-model", /tensor model.layers.1.input_layernorm.weight is missing/);
  refused(
    setting("num_hidden_layers", 2 ** 25),
    "bad-model",
    /tensor model.layers.1.input_layernorm.weight is missing/,
  );
});

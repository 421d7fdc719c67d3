/** The default model's configuration: config.json as engine/models/default/FORMAT.md describes it. */
import { isDeepStrictEqual } from "node:util";
import { Settings } from "./config-values.ts";
import { damaged } from "./files/byte-file.ts";
import type { ModelFile } from "./files/model-file.ts";
import { isObject } from "./files/small-file.ts";
import { clipped } from "./messages.ts";

export const HYBRID_FORMAT = "longsight-hybrid-2";

/** Rows of an int8 matrix NAME have their scales in the tensor NAME.scale. */
export const SCALE_ENDING = ".scale";

/** Lightning layers keep a constant state; retrieval layers attend to a window, the last of them to memory blocks too. */
export type HybridLayer = "lightning" | "retrieval";

/** What a memory block is to the file being completed, in the order of the class biases. */
export const MEMORY_CLASSES = ["own_before", "own_after", "imported", "same_folder", "other"] as const;
export type MemoryClass = (typeof MEMORY_CLASSES)[number];

/** The taps of every depthwise convolution: a token and the two before it. */
export const CONV_TAPS = 3;

/** How many suffix tokens stand in a fill-in-the-middle prompt. */
export const SUFFIX_TOKENS = 128;

export interface HybridConfig {
  readonly name: string;
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly ffnSize: number;
  readonly nHeads: number;
  /** hiddenSize = nHeads * headSize */
  readonly headSize: number;
  readonly layers: readonly HybridLayer[];
  /** The first retrieval layer: it makes the landmarks of memory blocks and the queries of questions in words. */
  readonly landmarkLayer: number;
  /** The last retrieval layer: it makes the keys and values of memory blocks and attends to them. */
  readonly memoryLayer: number;
  readonly gateRank: number;
  /** Tokens a retrieval layer sees without memory, the newest included. */
  readonly window: number;
  /** Tokens of a memory block. */
  readonly blockSize: number;
  readonly routeSize: number;
  /** Consecutive tokens that share one routing query. */
  readonly routeGroup: number;
  /** Blocks fetched for a routing query. */
  readonly routeTopBlocks: number;
  readonly normEps: number;
  /** The longest sequence seen in training, in tokens. */
  readonly trainedLength: number;
  /** Name (without the brackets) -> id. */
  readonly specialTokens: Readonly<Record<string, number>>;
}

/** Whether a safetensors folder holds the default model's format. */
export function isHybrid(file: ModelFile): boolean {
  return file.config?.format === HYBRID_FORMAT;
}

/** Reads config.json; throws bad-model for values that contradict themselves or the format. */
export function readHybridConfig(file: ModelFile): HybridConfig {
  const { path } = file;
  const settings = new Settings(path, () => undefined).nested(file.config ?? {});
  const is = (key: string, expected: unknown) => {
    if (!isDeepStrictEqual(settings.get(key), expected)) throw damaged(path, `its setting ${key} is not ${expected}`);
  };
  is("format", HYBRID_FORMAT);
  is("memory_classes", MEMORY_CLASSES);
  is("conv_taps", CONV_TAPS);
  is("suffix_tokens", SUFFIX_TOKENS);
  const layers = readLayers(path, settings.get("layers"));
  is("landmark_layer", layers.indexOf("retrieval"));
  is("memory_layer", layers.lastIndexOf("retrieval"));
  const name = settings.get("name");
  const config: HybridConfig = {
    name: typeof name === "string" ? clipped(name, 60) : "",
    vocabSize: settings.size("vocab_size"),
    hiddenSize: settings.size("hidden_size"),
    ffnSize: settings.size("ffn_size"),
    nHeads: settings.size("n_heads"),
    headSize: settings.size("head_size"),
    layers,
    landmarkLayer: layers.indexOf("retrieval"),
    memoryLayer: layers.lastIndexOf("retrieval"),
    gateRank: settings.size("gate_rank"),
    window: settings.size("window"),
    blockSize: settings.count("block_size"),
    routeSize: settings.size("route_size"),
    routeGroup: settings.count("route_group"),
    routeTopBlocks: settings.count("route_top_blocks"),
    normEps: settings.positive("norm_eps"),
    trainedLength: settings.size("trained_length"),
    specialTokens: readSpecialTokens(path, settings.get("special_tokens"), settings.size("vocab_size")),
  };
  if (config.hiddenSize !== config.nHeads * config.headSize) {
    throw damaged(path, `${config.nHeads} heads of ${config.headSize} are not ${config.hiddenSize} channels`);
  }
  return config;
}

function readLayers(path: string, value: unknown): HybridLayer[] {
  const isLayers = (list: unknown): list is HybridLayer[] =>
    Array.isArray(list) && list.every((layer) => layer === "lightning" || layer === "retrieval");
  if (!isLayers(value)) throw damaged(path, "its setting layers names unknown kinds of layers");
  if (!value.includes("retrieval")) throw damaged(path, "it has no retrieval layer");
  return value;
}

function readSpecialTokens(path: string, value: unknown, vocabSize: number): Record<string, number> {
  const isId = (id: unknown) => typeof id === "number" && Number.isInteger(id) && id >= 0 && id < vocabSize;
  const isTokens = (tokens: unknown): tokens is Record<string, number> =>
    isObject(tokens) && Object.values(tokens).every(isId);
  if (!isTokens(value)) throw damaged(path, "its setting special_tokens has ids outside the vocabulary");
  const missing = ["eot", "file", "suf", "pre", "doc", "ask"].find((name) => !Object.hasOwn(value, name));
  if (missing) throw damaged(path, `its setting special_tokens has no ${missing}`);
  return value;
}

/** Every tensor of the format with its shape; matrices may be int8 with a companion `<name>.scale`. */
export function* hybridTensors(config: HybridConfig): Generator<{ name: string; shape: readonly number[] }> {
  const { hiddenSize: d, ffnSize: f, nHeads: h, headSize: c, gateRank: g, routeSize: r } = config;
  yield { name: "token_embd", shape: [config.vocabSize, d] };
  yield { name: "output_norm", shape: [d] };
  for (const [layer, kind] of config.layers.entries()) {
    const shapes: Record<string, number[]> = {
      ffn_up: [f, d],
      ffn_gate: [f, d],
      ffn_down: [d, f],
      attn_output: [d, d],
      ...(kind === "lightning"
        ? { attn_qkv: [3 * d, d], conv: [3 * d, CONV_TAPS], decay: [h], gate_down: [g, d], gate_up: [d, g] }
        : {
            attn_q: [d, d],
            attn_kv: [2 * c, d],
            conv: [d + 2 * c, CONV_TAPS],
            q_norm: [h, c],
            k_norm: [c],
            sink: [h],
            window_bias: [h, config.window],
          }),
      ...(layer === config.landmarkLayer ? { route_q: [r, d], route_k: [r, d], route_pool: [d] } : {}),
      ...(layer === config.memoryLayer
        ? { route_q: [r, d], class_bias: [h, MEMORY_CLASSES.length], route_scale: [1] }
        : {}),
    };
    for (const [name, shape] of Object.entries(shapes)) yield { name: `blk.${layer}.${name}`, shape };
  }
}

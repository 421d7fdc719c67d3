/** The weights a decoder needs, their shapes, and what each is called in a model file. */
import type { DecoderConfig } from "./types.ts";

/** A weight under its Longsight name (see types.ts) and its shape: [rows, cols], or [n] for norms and biases. */
export interface WeightSpec {
  readonly name: string;
  readonly shape: readonly [number, number] | readonly [number];
}

/**
 * Every weight of a model of this configuration, one after another: the number of layers may still be a lie that only
 * the first missing tensor shows. With tied embeddings there is no "output".
 */
export function* requiredWeights(config: DecoderConfig): Generator<WeightSpec> {
  const { hiddenSize, ffnSize, vocabSize } = config;
  const qSize = config.nHeads * config.headSize;
  const kvSize = config.nKvHeads * config.headSize;
  const layer: WeightSpec[] = [
    { name: "attn_norm", shape: [hiddenSize] },
    { name: "attn_q", shape: [qSize, hiddenSize] },
    { name: "attn_k", shape: [kvSize, hiddenSize] },
    { name: "attn_v", shape: [kvSize, hiddenSize] },
    { name: "attn_output", shape: [hiddenSize, qSize] },
    { name: "ffn_norm", shape: [hiddenSize] },
    { name: "ffn_gate", shape: [ffnSize, hiddenSize] },
    { name: "ffn_up", shape: [ffnSize, hiddenSize] },
    { name: "ffn_down", shape: [hiddenSize, ffnSize] },
  ];
  if (config.qkvBias) {
    layer.push({ name: "attn_q.bias", shape: [qSize] });
    layer.push({ name: "attn_k.bias", shape: [kvSize] });
    layer.push({ name: "attn_v.bias", shape: [kvSize] });
  }
  if (config.qkNorm) {
    layer.push({ name: "attn_q_norm", shape: [config.headSize] });
    layer.push({ name: "attn_k_norm", shape: [config.headSize] });
  }
  yield { name: "token_embd", shape: [vocabSize, hiddenSize] };
  yield { name: "output_norm", shape: [hiddenSize] };
  if (!config.tiedEmbeddings) yield { name: "output", shape: [vocabSize, hiddenSize] };
  for (let i = 0; i < config.nLayers; i++) {
    for (const { name, shape } of layer) yield { name: `blk.${i}.${name}`, shape };
  }
}

const HUGGING_FACE_MODEL: Record<string, string> = {
  token_embd: "model.embed_tokens",
  output_norm: "model.norm",
  output: "lm_head",
};

const HUGGING_FACE_LAYER: Record<string, string> = {
  attn_norm: "input_layernorm",
  attn_q: "self_attn.q_proj",
  attn_k: "self_attn.k_proj",
  attn_v: "self_attn.v_proj",
  attn_output: "self_attn.o_proj",
  attn_q_norm: "self_attn.q_norm",
  attn_k_norm: "self_attn.k_norm",
  ffn_norm: "post_attention_layernorm",
  ffn_gate: "mlp.gate_proj",
  ffn_up: "mlp.up_proj",
  ffn_down: "mlp.down_proj",
};

/** The tensor that holds a weight in a file of the given format. */
export function tensorName(format: "gguf" | "safetensors", weight: string): string {
  const bias = weight.endsWith(".bias");
  const base = bias ? weight.slice(0, -".bias".length) : weight;
  const ending = bias ? ".bias" : ".weight";
  if (format === "gguf") return base + ending;
  const match = /^blk\.(\d+)\.(.*)$/.exec(base);
  const name = match ? `model.layers.${match[1]}.${HUGGING_FACE_LAYER[match[2]]}` : HUGGING_FACE_MODEL[base];
  return name + ending;
}

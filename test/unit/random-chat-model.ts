/** Writes a small model with random weights and a chat template: it says nothing, but all that runs is real. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { byteLevelJson } from "./models/tokenizer/small.ts";

const SHAPE = { vocab: 280, hidden: 32, ffn: 64, heads: 4, kvHeads: 2, headSize: 8, layers: 2 };

const TEMPLATE = `{% for message in messages %}<|im_start|>{{ message.role }}
{{ message.content }}<|endoftext|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`;

/** The folder of a Llama in safetensors form. */
export function randomChatModel(): string {
  const folder = mkdtempSync(join(tmpdir(), "longsight-chat-model-"));
  const write = (name: string, value: unknown) => writeFileSync(join(folder, name), JSON.stringify(value));
  write("config.json", {
    model_type: "llama",
    architectures: ["LlamaForCausalLM"],
    vocab_size: SHAPE.vocab,
    hidden_size: SHAPE.hidden,
    intermediate_size: SHAPE.ffn,
    num_hidden_layers: SHAPE.layers,
    num_attention_heads: SHAPE.heads,
    num_key_value_heads: SHAPE.kvHeads,
    max_position_embeddings: 8192,
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
    tie_word_embeddings: true,
    hidden_act: "silu",
  });
  write("tokenizer.json", byteLevelJson());
  write("tokenizer_config.json", { chat_template: TEMPLATE, eos_token: "<|endoftext|>" });
  writeFileSync(join(folder, "model.safetensors"), safetensors(tensors()));
  return folder;
}

function tensors(): Map<string, readonly number[]> {
  const { vocab, hidden, ffn, heads, kvHeads, headSize, layers } = SHAPE;
  const shapes = new Map<string, readonly number[]>([["model.embed_tokens.weight", [vocab, hidden]]]);
  for (let layer = 0; layer < layers; layer++) {
    const of = (name: string, ...shape: number[]) => shapes.set(`model.layers.${layer}.${name}.weight`, shape);
    of("input_layernorm", hidden);
    of("self_attn.q_proj", heads * headSize, hidden);
    of("self_attn.k_proj", kvHeads * headSize, hidden);
    of("self_attn.v_proj", kvHeads * headSize, hidden);
    of("self_attn.o_proj", hidden, heads * headSize);
    of("post_attention_layernorm", hidden);
    of("mlp.gate_proj", ffn, hidden);
    of("mlp.up_proj", ffn, hidden);
    of("mlp.down_proj", hidden, ffn);
  }
  return shapes.set("model.norm.weight", [hidden]);
}

/** A safetensors file of float32 tensors with these shapes; norms are one, all else is random. */
function safetensors(shapes: ReadonlyMap<string, readonly number[]>): Buffer {
  const header: Record<string, unknown> = {};
  const parts: Buffer[] = [];
  let offset = 0;
  let seed = 1;
  const random = () => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed / 2_147_483_647 - 0.5;
  };
  for (const [name, shape] of shapes) {
    const length = shape.reduce((product, size) => product * size, 1);
    const data = Float32Array.from({ length }, () => (shape.length === 1 ? 1 : random()));
    header[name] = { dtype: "F32", shape, data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
    parts.push(Buffer.from(data.buffer));
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, ...parts]);
}

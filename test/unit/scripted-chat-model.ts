/**
 * Writes a model that says what a script has it say: real files, run by the real engine. Every text of the script is one
 * token of its own; attention and feed-forward weights are zero, so that what comes next depends on the last token alone,
 * and the head's weights name it. The chat template ends in a token that the script goes on from.
 */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { safetensors } from "./models/safetensors-writer.ts";
import { byteLevelJson } from "./models/tokenizer/small.ts";

/** What is said where the template ends in a token; then the text ends. */
export type Script = Readonly<Record<string, string>>;

const FFN = 32;
const HEAD_SIZE = 32;

/** The folder of a Llama in safetensors form; `template` has to end in one of the script's keys. */
export function scriptedChatModel(script: Script, template: string): string {
  const folder = mkdtempSync(join(tmpdir(), "longsight-scripted-model-"));
  const write = (name: string, value: unknown) => writeFileSync(join(folder, name), JSON.stringify(value));
  const tokenizer = byteLevelJson();
  const first = tokenizer.added_tokens[tokenizer.added_tokens.length - 1].id as number;
  const texts = [...Object.keys(script), ...Object.values(script)];
  const idOf = new Map(texts.map((content, i) => [content, first + 1 + i]));
  for (const [content, id] of idOf) tokenizer.added_tokens.push({ id, content, special: content in script });
  const end = tokenizer.added_tokens.find(({ content }) => content === "<|endoftext|>")!.id as number;
  const next = new Map<number, number>();
  for (const [key, said] of Object.entries(script)) {
    next.set(idOf.get(key)!, idOf.get(said)!);
    next.set(idOf.get(said)!, end);
  }

  const vocab = first + 1 + texts.length;
  // One dimension for every token: the embedding says which token it is, the head which one follows it.
  const hidden = Math.ceil(vocab / HEAD_SIZE) * HEAD_SIZE;
  write("config.json", {
    model_type: "llama",
    architectures: ["LlamaForCausalLM"],
    vocab_size: vocab,
    hidden_size: hidden,
    intermediate_size: FFN,
    num_hidden_layers: 1,
    num_attention_heads: hidden / HEAD_SIZE,
    num_key_value_heads: 1,
    max_position_embeddings: 8192,
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
    tie_word_embeddings: false,
    hidden_act: "silu",
  });
  write("tokenizer.json", tokenizer);
  write("tokenizer_config.json", { chat_template: template, eos_token: "<|endoftext|>" });
  const matrix = (rows: number, cols: number, ones: Iterable<[row: number, col: number]> = []) => {
    const data = new Float32Array(rows * cols);
    for (const [row, col] of ones) data[row * cols + col] = 1;
    return { dtype: "F32", shape: [rows, cols], data: new Uint8Array(data.buffer) };
  };
  const ones = new Float32Array(hidden).fill(1);
  const vector = { dtype: "F32", shape: [hidden], data: new Uint8Array(ones.buffer) };
  const all = Array.from({ length: vocab }, (_, id): [number, number] => [id, id]);
  const follows = all.map(([id]): [number, number] => [next.get(id) ?? end, id]);
  const layer = (name: string) => `model.layers.0.${name}.weight`;
  writeFileSync(
    join(folder, "model.safetensors"),
    safetensors({
      "model.embed_tokens.weight": matrix(vocab, hidden, all),
      [layer("input_layernorm")]: vector,
      [layer("self_attn.q_proj")]: matrix(hidden, hidden),
      [layer("self_attn.k_proj")]: matrix(HEAD_SIZE, hidden),
      [layer("self_attn.v_proj")]: matrix(HEAD_SIZE, hidden),
      [layer("self_attn.o_proj")]: matrix(hidden, hidden),
      [layer("post_attention_layernorm")]: vector,
      [layer("mlp.gate_proj")]: matrix(FFN, hidden),
      [layer("mlp.up_proj")]: matrix(FFN, hidden),
      [layer("mlp.down_proj")]: matrix(hidden, FFN),
      "model.norm.weight": vector,
      "lm_head.weight": matrix(vocab, hidden, follows),
    }),
  );
  return folder;
}

/** Calls the search first and answers once it has the result: the least that an agent's model does. */
export const AGENT_TEMPLATE = `{% if tools %}{% for tool in tools %}{{ tool | tojson }}
{% endfor %}{% endif %}{% for message in messages %}{{ message.role }}: {{ message.content }}{% for call in message.tool_calls or [] %}
{{ call.function.name }}({{ call.function.arguments | tojson }}){% endfor %}
{% endfor %}{% if messages[-1].role == 'tool' %}<|answer|>{% elif tools %}<|call|>{% else %}<|plain|>{% endif %}`;

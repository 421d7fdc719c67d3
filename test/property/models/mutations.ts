/** Damaged and hostile variants of model files. Every one follows from its number, so that a failure can be repeated. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../../../engine/paths.ts";
import { text, type Value } from "../../unit/models/gguf-writer.ts";
import { withHeader } from "../../unit/models/safetensors-writer.ts";
import { smallGguf, smallSettings, smallTensors, TINY, TOKENIZER } from "../../unit/models/small-model.ts";
import { byteLevelJson } from "../../unit/models/tokenizer/small.ts";

/** File name -> content. A GGUF model is the one file model.gguf. */
export type Files = Readonly<Record<string, Buffer>>;

export interface Mutant {
  readonly what: string;
  readonly files: Files;
}

export const KINDS = ["gguf", "safetensors", "index", "hybrid"] as const;
export type Kind = (typeof KINDS)[number];

/** A small generator of random numbers (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 to n - 1. */
  below(n: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * n);
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)];
  }
}

/** The whole files that the mutants are made of. */
export function originals(kind: Kind): Files {
  if (kind === "gguf") return { "model.gguf": GGUF_MODELS[0] };
  if (kind === "hybrid") return HYBRID;
  const tensors = smallTensors(FOLDER);
  const settings = { "config.json": json(smallSettings(FOLDER)), "tokenizer.json": json(byteLevelJson()) };
  const names = Object.keys(tensors);
  if (kind === "safetensors") return { ...settings, "model.safetensors": file(names) };
  const [first, second] = ["part-1.safetensors", "part-2.safetensors"];
  const half = names.length >> 1;
  return {
    ...settings,
    [first]: file(names.slice(0, half)),
    [second]: file(names.slice(half)),
    "model.safetensors.index.json": json({
      weight_map: Object.fromEntries(names.map((name, i) => [name, i < half ? first : second])),
    }),
  };

  function file(parts: readonly string[]): Buffer {
    const header: Record<string, unknown> = {};
    let end = 0;
    for (const name of parts) {
      const { dtype, shape, data } = tensors[name];
      header[name] = { dtype, shape, data_offsets: [end, end + data.length] };
      end += data.length;
    }
    return withHeader(JSON.stringify(header), Buffer.concat(parts.map((name) => tensors[name].data)));
  }
}

/** Stands for a value nested deeper than JSON.stringify and recursive code can go. */
const DEEP = "@deep ";
const DEPTH = 20_000;

/** JSON text; a text that begins with DEEP becomes what it describes: "@deep KEY" lists and objects in one another. */
function json(value: unknown): Buffer {
  const text = JSON.stringify(value).replace(/"@deep (\w*)"/g, (_, key: string) => {
    const open = key === "" ? "[" : `{"type":"Sequence","${key}":[`;
    return open.repeat(DEPTH) + (key === "" ? "]" : "]}").repeat(DEPTH);
  });
  return Buffer.from(text);
}

const FOLDER = { ...TINY, vocabSize: 300 } as const;

/** Deep and odd values beside the usual ones, so that mutants of every kind of value come up. */
const EXTRAS: Readonly<Record<string, Value>> = {
  "extra.nested": { type: "array", of: "array", value: [{ type: "array", of: "string", value: [text("deep")] }] },
  "extra.u64": { type: "u64", value: 2n ** 60n },
  "general.alignment": { type: "u32", value: 32 },
  "split.count": { type: "u16", value: 1 },
  "tokenizer.chat_template": text("{{ messages[0].content }}"),
};

const GGUF_MODELS = (["F32", "Q4_0", "Q8_0", "F16", "Q5_1"] as const).map((type) =>
  smallGguf(type, { ...TINY, rope: { theta: 10_000 } }, { ...TOKENIZER, ...EXTRAS }),
);

const HYBRID: Files = Object.fromEntries(
  ["config.json", "model.safetensors"].map((name) => [
    name,
    readFileSync(join(packageRoot, "test", "fixtures", "models", "hybrid", name)),
  ]),
);

/** The mutant of a number: one to three mutations of the whole files. */
export function mutant(kind: Kind, number: number): Mutant {
  const random = new Random(number * 4 + KINDS.indexOf(kind));
  let files: Files = kind === "gguf" ? { "model.gguf": random.pick(GGUF_MODELS) } : originals(kind);
  const steps: string[] = [];
  for (let n = 1 + random.below(3); n > 0; n--) {
    const name = random.pick(Object.keys(files));
    const [what, bytes] = mutated(files[name], name, random);
    steps.push(`${name}: ${what}`);
    files = { ...files, [name]: bytes };
  }
  return { what: steps.join("; "), files };
}

type Mutation = [what: string, bytes: Buffer];

function mutated(bytes: Buffer, name: string, random: Random): Mutation {
  if (bytes.length === 0) return ["nothing left to change", bytes];
  if (name.endsWith(".json") && random.below(5) > 0) return changedJson(bytes, random);
  if (name.endsWith(".safetensors") && random.below(3) > 0) return changedHeader(bytes, random);
  return random.pick(BYTE_MUTATIONS)(bytes, name, random);
}

/** Values that counts, lengths, offsets and types are set to. */
const NUMBERS = [
  0n,
  1n,
  2n,
  7n,
  31n,
  255n,
  2n ** 16n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
];

const BYTE_MUTATIONS: readonly ((bytes: Buffer, name: string, random: Random) => Mutation)[] = [
  function flip(bytes, name, random) {
    const at = place(bytes, name, random);
    const copy = Buffer.from(bytes);
    copy[at] ^= 1 << random.below(8);
    return [`bit flipped at ${at}`, copy];
  },
  function overwrite(bytes, name, random) {
    const at = place(bytes, name, random);
    const copy = Buffer.from(bytes);
    const length = 1 + random.below(8);
    for (let i = at; i < Math.min(at + length, copy.length); i++) copy[i] = random.below(256);
    return [`${length} random bytes at ${at}`, copy];
  },
  function number(bytes, name, random) {
    const at = Math.max(0, Math.min(place(bytes, name, random), bytes.length - 8));
    if (bytes.length < 8) return ["too short for a number", bytes];
    const copy = Buffer.from(bytes);
    const value = random.pick([...NUMBERS, BigInt(bytes.length), BigInt(bytes.length - at)]);
    if (random.below(2) === 0) copy.writeBigUInt64LE(value, at);
    else copy.writeUInt32LE(Number(value & 0xffffffffn), at);
    return [`${value} at ${at}`, copy];
  },
  function cut(bytes, name, random) {
    const length = random.below(2) === 0 ? place(bytes, name, random) : random.below(bytes.length);
    return [`cut to ${length}`, bytes.subarray(0, length)];
  },
  function remove(bytes, name, random) {
    const at = place(bytes, name, random);
    const length = 1 + random.below(64);
    return [`${length} bytes removed at ${at}`, Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)])];
  },
  function repeat(bytes, name, random) {
    const at = place(bytes, name, random);
    const length = 1 + random.below(200);
    const part = bytes.subarray(at, at + length);
    return [`${length} bytes at ${at} twice`, Buffer.concat([bytes.subarray(0, at), part, bytes.subarray(at)])];
  },
  function move(bytes, name, random) {
    const [from, to] = [place(bytes, name, random), place(bytes, name, random)];
    const copy = Buffer.from(bytes);
    const length = 1 + random.below(40);
    bytes.copy(copy, to, from, from + length);
    return [`${length} bytes from ${from} copied to ${to}`, copy];
  },
];

/** A place in a file, mostly where its structure is: a GGUF file's or safetensors file's head, or just behind a name. */
function place(bytes: Buffer, name: string, random: Random): number {
  const kind = random.below(4);
  if (kind === 0) return random.below(bytes.length);
  if (name.endsWith(".gguf")) {
    if (kind === 1) return Math.min(random.below(24), bytes.length - 1);
    const field = random.pick(GGUF_FIELDS);
    const at = bytes.indexOf(field);
    if (at >= 0) return Math.min(at + field.length + random.below(40), bytes.length - 1);
  }
  return random.below(Math.min(bytes.length, 4096));
}

const GGUF_FIELDS = [
  ...["general.architecture", "llama.block_count", "llama.embedding_length", "llama.attention.head_count"],
  ...["llama.attention.layer_norm_rms_epsilon", "llama.rope.freq_base", "llama.context_length"],
  ...["tokenizer.ggml.model", "tokenizer.ggml.tokens", "tokenizer.ggml.token_type", "tokenizer.ggml.merges"],
  ...["tokenizer.ggml.eos_token_id", "extra.nested", "extra.u64", "general.alignment", "split.count"],
  ...["token_embd.weight", "output.weight", "blk.0.attn_q.weight", "blk.0.ffn_down.weight", "blk.0.attn_norm.weight"],
];

/** Values that a JSON file's values are replaced by. */
const JSON_VALUES: readonly ((random: Random) => unknown)[] = [
  () => null,
  () => true,
  () => "",
  () => [],
  () => ({}),
  () => 0,
  () => -1,
  () => 0.5,
  () => 1e308,
  (random) => Number(random.pick(NUMBERS)),
  (random) => random.below(400),
  (random) => "x".repeat(random.pick([1, 100, 100_000])),
  () => "\ud800\u0000\n",
  () => ({ __proto__: 1, constructor: "x" }),
  (random) => Array.from({ length: random.below(2000) }, (_, i) => i),
  (random) => DEEP + random.pick(["", "", "normalizers", "pretokenizers", "processors", "decoders"]),
];

/** A JSON file with one value at some depth replaced, removed, renamed or copied. */
function changedJson(bytes: Buffer, random: Random): Mutation {
  try {
    const value = JSON.parse(bytes.toString("utf8")) as unknown;
    return [changeValue(value, random), json(value)];
  } catch {
    return ["no longer JSON that can be changed", bytes];
  }
}

function changedHeader(bytes: Buffer, random: Random): Mutation {
  const length = bytes.length < 8 ? 0 : Number(bytes.readBigUInt64LE(0));
  if (length > bytes.length) return ["header already damaged", bytes];
  const [what, header] = changedJson(bytes.subarray(8, 8 + length), random);
  return [what, withHeader(header.toString("utf8"), bytes.subarray(8 + length))];
}

function changeValue(root: unknown, random: Random): string {
  let holder = root as Record<string, unknown>;
  const path: string[] = [];
  for (;;) {
    const keys = holder !== null && typeof holder === "object" ? Object.keys(holder) : [];
    if (keys.length === 0) return "nothing to change";
    const key = random.pick(keys);
    path.push(key.slice(0, 40));
    const inner = holder[key];
    const goesOn = inner !== null && typeof inner === "object" && Object.keys(inner).length > 0 && random.below(3) > 0;
    if (goesOn) {
      holder = inner as Record<string, unknown>;
      continue;
    }
    const other = random.pick(keys);
    switch (random.below(6)) {
      case 0:
        delete holder[key];
        return `${path.join(".")} removed`;
      case 1:
        holder[`${key}x`] = inner;
        delete holder[key];
        return `${path.join(".")} renamed`;
      case 2:
        holder[key] = holder[other];
        return `${path.join(".")} copied from ${other.slice(0, 40)}`;
      default:
        holder[key] = random.pick(JSON_VALUES)(random);
        return `${path.join(".")} replaced by ${JSON.stringify(holder[key])?.slice(0, 40)}`;
    }
  }
}

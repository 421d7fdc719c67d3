/** Builds GGUF files for tests and benchmarks. Source: the GGUF specification, version 3. */
import { byteLengthOf, GGUF_TYPE_NAMES } from "../../../engine/models/files/tensor-types.ts";
import type { DecoderConfig, TensorType } from "../../../engine/models/types.ts";

/** A typed metadata value, by GGUF's own type names; an array names its items' type. */
export type Value =
  | { type: "u8" | "i8" | "u16" | "i16" | "u32" | "i32" | "f32" | "f64"; value: number }
  | { type: "u64" | "i64"; value: bigint }
  | { type: "bool"; value: boolean }
  | { type: "string"; value: string }
  | { type: "array"; of: Value["type"]; value: readonly Value[] };

const TYPE_NUMBERS = ["u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"];

export const u32 = (value: number): Value => ({ type: "u32", value });
export const f32 = (value: number): Value => ({ type: "f32", value });
export const text = (value: string): Value => ({ type: "string", value });
export const list = (of: "u32" | "i32" | "f32", values: readonly number[]): Value => ({
  type: "array",
  of,
  value: values.map((value) => ({ type: of, value })),
});
export const texts = (values: readonly string[]): Value => ({ type: "array", of: "string", value: values.map(text) });

/** A tensor to write; shape as in the engine: [rows, cols] or [n]. */
export interface TensorEntry {
  readonly name: string;
  readonly type: TensorType;
  readonly shape: readonly number[];
}

export const sizeOf = ({ type, shape }: TensorEntry): number =>
  byteLengthOf(
    type,
    shape.reduce((a, b) => a * b, 1),
  );

const ALIGNMENT = 32;
export const aligned = (size: number): number => Math.ceil(size / ALIGNMENT) * ALIGNMENT;

/** Everything up to the tensor data, whose parts must follow in order, each padded to aligned(its size). */
export function ggufHeader(metadata: Readonly<Record<string, Value>>, tensors: readonly TensorEntry[]): Buffer {
  const parts: Buffer[] = [
    Buffer.from("GGUF"),
    int(3, 4),
    int(tensors.length, 8),
    int(Object.keys(metadata).length, 8),
  ];
  for (const [key, value] of Object.entries(metadata)) {
    parts.push(string(key), int(TYPE_NUMBERS.indexOf(value.type), 4), encode(value));
  }
  let offset = 0;
  for (const tensor of tensors) {
    parts.push(string(tensor.name), int(tensor.shape.length, 4));
    for (const size of [...tensor.shape].reverse()) parts.push(int(size, 8));
    parts.push(int(GGUF_TYPE_NAMES.indexOf(tensor.type), 4), int(offset, 8));
    offset += aligned(sizeOf(tensor));
  }
  const header = Buffer.concat(parts);
  return Buffer.concat([header, Buffer.alloc(aligned(header.length) - header.length)]);
}

/** A whole file in memory. */
export function gguf(
  metadata: Readonly<Record<string, Value>>,
  tensors: readonly (TensorEntry & { readonly data: Uint8Array })[],
): Buffer {
  const data = tensors.map((tensor) => {
    const padded = Buffer.alloc(aligned(tensor.data.length));
    padded.set(tensor.data);
    return padded;
  });
  return Buffer.concat([ggufHeader(metadata, tensors), ...data]);
}

/** The settings of a model, under the keys that GGUF has for them. */
export function configMetadata(config: DecoderConfig): Record<string, Value> {
  const { architecture } = config;
  return {
    "general.architecture": text(architecture),
    [`${architecture}.block_count`]: u32(config.nLayers),
    [`${architecture}.context_length`]: u32(config.contextLength),
    [`${architecture}.embedding_length`]: u32(config.hiddenSize),
    [`${architecture}.feed_forward_length`]: u32(config.ffnSize),
    [`${architecture}.attention.head_count`]: u32(config.nHeads),
    [`${architecture}.attention.head_count_kv`]: u32(config.nKvHeads),
    [`${architecture}.attention.layer_norm_rms_epsilon`]: f32(config.normEps),
    [`${architecture}.rope.freq_base`]: f32(config.rope.theta),
  };
}

function encode(value: Value): Buffer {
  const bytes = Buffer.alloc(8);
  switch (value.type) {
    case "u8":
      return int(value.value, 1);
    case "i8":
      return int(value.value & 0xff, 1);
    case "u16":
      return int(value.value, 2);
    case "i16":
      return int(value.value & 0xffff, 2);
    case "u32":
      return int(value.value, 4);
    case "i32":
      return int(value.value >>> 0, 4);
    case "f32":
      bytes.writeFloatLE(value.value);
      return bytes.subarray(0, 4);
    case "f64":
      bytes.writeDoubleLE(value.value);
      return bytes;
    case "u64":
      bytes.writeBigUInt64LE(value.value);
      return bytes;
    case "i64":
      bytes.writeBigInt64LE(value.value);
      return bytes;
    case "bool":
      return int(value.value ? 1 : 0, 1);
    case "string":
      return string(value.value);
    case "array":
      return Buffer.concat([
        int(TYPE_NUMBERS.indexOf(value.of), 4),
        int(value.value.length, 8),
        ...value.value.map(encode),
      ]);
  }
}

function string(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([int(bytes.length, 8), bytes]);
}

function int(value: number, size: 1 | 2 | 4 | 8): Buffer {
  const bytes = Buffer.alloc(size);
  if (size === 8) bytes.writeBigUInt64LE(BigInt(value));
  else bytes.writeUIntLE(value, 0, size);
  return bytes;
}

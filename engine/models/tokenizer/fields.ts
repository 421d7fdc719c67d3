/** Checked access to the untrusted values of tokenizer files: what is not as it must be ends in one clear error. */
import { LongsightError } from "../../errors.ts";
import { shown } from "../messages.ts";

export type Fields = Readonly<Record<string, unknown>>;

export function damaged(what: string): LongsightError {
  return new LongsightError("bad-model", `The model's tokenizer is damaged: ${what}; download the model again.`);
}

export function unsupported(what: string): LongsightError {
  return new LongsightError(
    "unsupported",
    `The model's tokenizer uses ${what}, which Longsight does not support; choose another model.`,
  );
}

export function object(value: unknown, name: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw damaged(`${name} is not an object`);
  return value as Fields;
}

export function list(value: unknown, name: string): readonly unknown[] {
  if (!Array.isArray(value)) throw damaged(`${name} is not a list`);
  return value;
}

export function string(value: unknown, name: string): string {
  if (typeof value !== "string") throw damaged(`${name} is not text`);
  return value;
}

export function strings(value: unknown, name: string): readonly string[] {
  const items = list(value, name);
  for (const item of items) string(item, `an entry of ${name}`);
  return items as readonly string[];
}

/** A list of numbers, plain or typed, of the given length. */
export function numbers(value: unknown, name: string, length: number): ArrayLike<number> {
  const items = ArrayBuffer.isView(value) ? (value as unknown as ArrayLike<unknown>) : list(value, name);
  if (items.length !== length) throw damaged(`${name} has ${items.length} entries for ${length} tokens`);
  for (let i = 0; i < length; i++) {
    if (typeof items[i] !== "number" || !Number.isFinite(items[i])) throw damaged(`${name} holds ${shown(items[i])}`);
  }
  return items as ArrayLike<number>;
}

export function optionalBoolean(value: unknown, name: string): boolean | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "boolean") throw damaged(`${name} is neither true nor false`);
  return value;
}

/** A token id below `vocabSize`, or undefined where the file gives none. */
export function optionalId(value: unknown, name: string, vocabSize: number): number | undefined {
  if (value === undefined || value === null) return undefined;
  const id = typeof value === "bigint" ? Number(value) : value;
  if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= vocabSize) {
    throw damaged(`${name} is ${shown(value)}, not one of the ${vocabSize} tokens`);
  }
  return id;
}

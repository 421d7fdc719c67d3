/** Reads the small files that come with models, most of them JSON. */
import { ByteFile, damaged } from "./byte-file.ts";

/** A small file larger than this is absurd; the largest tokenizers and tensor tables have some 20 MB. */
export const MAX_SMALL_BYTES = 32 << 20;

/** Reads a whole small file; throws not-found, no-access, bad-input or bad-model. */
export function readSmallFile(path: string): Uint8Array {
  const file = new ByteFile(path);
  try {
    if (file.sizeBytes > MAX_SMALL_BYTES) throw damaged(path, `${file.sizeBytes} bytes are too many for this file`);
    return file.read(0, file.sizeBytes);
  } finally {
    file.close();
  }
}

/** Parses UTF-8 JSON that must hold an object; throws bad-model naming `what`. */
export function parseJsonObject(path: string, bytes: Uint8Array, what: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw damaged(path, `${what} is not valid JSON`);
  }
  if (!isObject(value)) throw damaged(path, `${what} is not a JSON object`);
  return value;
}

/** Reads a whole JSON file that must hold an object; throws as readSmallFile does. */
export function readJsonFile(path: string): Record<string, unknown> {
  return parseJsonObject(path, readSmallFile(path), "its content");
}

/** Whether a parsed JSON value is an object (not null, not an array). */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

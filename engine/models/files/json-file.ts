/** Reads the small JSON files that come with models. */
import { ByteFile, damaged } from "./byte-file.ts";

/** JSON larger than this is absurd; the largest tensor tables have about 2 MB. */
export const MAX_JSON_BYTES = 32 << 20;

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

/** Reads a whole JSON file that must hold an object; throws not-found, no-access or bad-model. */
export function readJsonFile(path: string): Record<string, unknown> {
  const file = new ByteFile(path);
  try {
    if (file.sizeBytes > MAX_JSON_BYTES) throw damaged(path, `${file.sizeBytes} bytes are too many for this file`);
    return parseJsonObject(path, file.read(0, file.sizeBytes), "its content");
  } finally {
    file.close();
  }
}

/** Whether a parsed JSON value is an object (not null, not an array). */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

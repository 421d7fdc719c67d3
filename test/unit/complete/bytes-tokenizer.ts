/** A tokenizer without merges: control tokens first, then one id per byte. */
import type { Tokenizer } from "../../../engine/models/types.ts";

export function bytesTokenizer(control: readonly string[]): Tokenizer {
  const first = control.length;
  const bytes = (id: number) => (id < first ? new Uint8Array() : Uint8Array.of(id - first));
  return {
    vocabSize: first + 256,
    bosId: undefined,
    stopIds: [0],
    encode: (text) => Array.from(new TextEncoder().encode(text), (byte) => byte + first),
    bytes,
    decode: (ids) => Buffer.concat(ids.map(bytes)).toString("utf8"),
    id: (token) => (control.includes(token) ? control.indexOf(token) : undefined),
  };
}

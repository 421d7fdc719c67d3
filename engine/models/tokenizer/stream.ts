/** Decodes tokens one by one into text that is safe to show. */
import type { Tokenizer } from "../types.ts";

/**
 * Holds back an incomplete UTF-8 character until its last byte is there, so that neither half a character nor half a
 * surrogate pair is ever given out. All parts joined are what decoding all ids at once gives.
 */
export class StreamDecoder {
  readonly #tokenizer: Pick<Tokenizer, "bytes">;
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true }); // "ignore" keeps U+FEFF in the text
  #stripSpace: boolean;

  /** `stripFirstSpace`: the text's first space is SentencePiece's own and not part of it. */
  constructor(tokenizer: Pick<Tokenizer, "bytes">, options: { stripFirstSpace?: boolean } = {}) {
    this.#tokenizer = tokenizer;
    this.#stripSpace = options.stripFirstSpace ?? false;
  }

  /** The text that the next id completes; "" while a character is incomplete. */
  push(id: number): string {
    const bytes = this.#tokenizer.bytes(id);
    if (bytes.length === 0) return "";
    const strip = this.#stripSpace && bytes[0] === 0x20;
    this.#stripSpace = false;
    return this.#decoder.decode(strip ? bytes.subarray(1) : bytes, { stream: true });
  }

  /** Ends the text: what is still incomplete becomes U+FFFD. */
  flush(): string {
    return this.#decoder.decode();
  }
}

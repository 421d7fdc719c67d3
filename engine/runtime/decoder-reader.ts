/** Texts on a decoder whose key/value cache can go back: what two texts have in common at their beginning is read once. */
import { LongsightError } from "../errors.ts";
import type { DecoderConfig } from "../models/types.ts";
import type { Decoder } from "./decoder.ts";
import { commonPrefix, type ReadTextOptions, type TextReader } from "./reader.ts";

/** Tokens of one prefill run: longer ones are hardly faster, and cancelling takes effect between two runs. */
const MAX_RUN_TOKENS = 256;

type Shape = Pick<DecoderConfig, "contextLength" | "vocabSize">;

export class DecoderReader implements TextReader {
  readonly contextLength: number;
  readonly #vocabSize: number;
  readonly #decoder: Pick<Decoder, "run">;
  /** The text whose keys and values the decoder's cache holds. */
  #ids: readonly number[] = [];

  /** The decoder's cache belongs to this reader from now on. */
  constructor(decoder: Pick<Decoder, "run">, { contextLength, vocabSize }: Shape) {
    this.#decoder = decoder;
    this.contextLength = contextLength;
    this.#vocabSize = vocabSize;
  }

  /** As the contract has it; bad-input too for a text longer than the context. */
  async readText(ids: readonly number[], { signal }: ReadTextOptions = {}): Promise<Float32Array> {
    if (ids.length === 0) throw new LongsightError("bad-input", "There is no text to read; give at least one token.");
    if (ids.length > this.contextLength) {
      throw new LongsightError(
        "bad-input",
        `The text has ${ids.length} tokens, the model reads ${this.contextLength} at most; shorten it.`,
      );
    }
    // The last token is always read: its logits are not kept.
    const nKept = Math.min(commonPrefix(this.#ids, ids), ids.length - 1);
    for (let at = nKept; at < ids.length; at++) this.#check(ids[at]);
    for (let start = nKept; ; start += MAX_RUN_TOKENS) {
      if (signal?.aborted) throw new LongsightError("cancelled", "Cancelled.");
      const part = ids.slice(start, start + MAX_RUN_TOKENS);
      const end = start + part.length;
      // A run that fails leaves what it overwrote undefined.
      this.#ids = this.#ids.slice(0, start);
      const logits = await this.#decoder.run(part, start, end === ids.length ? [part.length - 1] : []);
      this.#ids = ids.slice(0, end);
      if (end === ids.length) return logits;
    }
  }

  #check(id: number): void {
    if (Number.isInteger(id) && id >= 0 && id < this.#vocabSize) return;
    throw new LongsightError(
      "bad-input",
      `Token ${id} is not one of the model's ${this.#vocabSize}; use its tokenizer.`,
    );
  }
}

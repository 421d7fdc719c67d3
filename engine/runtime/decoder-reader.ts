/** Texts on a decoder whose key/value cache can go back: what two texts have in common at their beginning is read once. */
import { LongsightError } from "../errors.ts";
import type { DecoderConfig } from "../models/types.ts";
import type { Decoder } from "./decoder.ts";
import { commonPrefix, type DraftReader, type ReadTextOptions, rowsOf } from "./reader.ts";

/**
 * Tokens of one prefill run behind `nPast` others. Products are as fast in short runs, where fewer keys are computed that
 * lie in a query's future; but each run copies the cache. Cancelling takes effect between two runs.
 */
const runTokens = (nPast: number) => (nPast < 1024 ? 128 : 256);

type Shape = Pick<DecoderConfig, "contextLength" | "vocabSize">;

export class DecoderReader implements DraftReader {
  readonly contextLength: number;
  readonly #vocabSize: number;
  readonly #decoder: Pick<Decoder, "run" | "holds">;
  /** The text whose keys and values the decoder's cache holds. */
  #ids: readonly number[] = [];

  /** The decoder's cache belongs to this reader from now on. */
  constructor(decoder: Pick<Decoder, "run" | "holds">, { contextLength, vocabSize }: Shape) {
    this.#decoder = decoder;
    this.contextLength = contextLength;
    this.#vocabSize = vocabSize;
  }

  /** As the contract has it; bad-input too for a text longer than the context. */
  async readText(ids: readonly number[], options: ReadTextOptions = {}): Promise<Float32Array> {
    return await this.#read(ids, 1, options);
  }

  /** As the contract has it; what was guessed counts as text. */
  async readDraft(ids: readonly number[], draft: readonly number[], options: ReadTextOptions = {}) {
    const nRows = 1 + draft.length;
    return rowsOf(await this.#read([...ids, ...draft], nRows, options), nRows);
  }

  /** The logits behind the last `nRows` of the ids, [nRows, vocabSize]. */
  async #read(ids: readonly number[], nRows: number, { signal }: ReadTextOptions): Promise<Float32Array> {
    if (ids.length === 0) throw new LongsightError("bad-input", "There is no text to read; give at least one token.");
    if (ids.length > this.contextLength) {
      throw new LongsightError(
        "bad-input",
        `The text has ${ids.length} tokens, the model reads ${this.contextLength} at most; shorten it.`,
      );
    }
    // Tokens whose logits are wanted are always read: logits are not kept.
    const lastStart = ids.length - nRows;
    const nCommon = Math.min(commonPrefix(this.#ids, ids), lastStart);
    const nKept = this.#decoder.holds(nCommon) ? nCommon : 0;
    for (let at = nKept; at < ids.length; at++) this.#check(ids[at]);
    for (let start = nKept, end = 0; ; start = end) {
      if (signal?.aborted) throw new LongsightError("cancelled", "Cancelled.");
      // All rows that are wanted belong to one run, the last, however long.
      end = start + runTokens(start);
      end = end >= ids.length || start === lastStart ? ids.length : Math.min(end, lastStart);
      const part = ids.slice(start, end);
      // A run that fails leaves what it overwrote undefined.
      this.#ids = this.#ids.slice(0, start);
      const rows = end === ids.length ? Array.from({ length: nRows }, (_, row) => part.length - nRows + row) : [];
      const logits = await this.#decoder.run(part, start, rows);
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

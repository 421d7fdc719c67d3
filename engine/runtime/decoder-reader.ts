/** Texts on a decoder whose key/value cache can go back: what two texts have in common at their beginning is read once. */
import { LongsightError } from "../errors.ts";
import type { DecoderConfig } from "../models/types.ts";
import type { Decoder } from "./decoder.ts";
import { commonPrefix, type DraftReader, type PlacedMemory, type ReadTextOptions, rowsOf } from "./reader.ts";
import { betweenRuns } from "./session.ts";

/**
 * Tokens of one prefill run behind `nPast` others. Products are as fast in short runs, where fewer keys are computed that
 * lie in a query's future; but each run copies the cache. Cancelling takes effect between two runs.
 */
const runTokens = (nPast: number) => (nPast < 1024 ? 128 : 256);

type ReadDecoder = Pick<Decoder, "run" | "holds" | "place">;

type Shape = Pick<DecoderConfig, "contextLength" | "vocabSize">;

export class DecoderReader implements DraftReader {
  readonly contextLength: number;
  readonly #vocabSize: number;
  readonly #decoder: ReadDecoder;
  /** The text whose keys and values the decoder's cache holds. */
  #ids: readonly number[] = [];
  /** What stands between them. */
  #placed: PlacedMemory | undefined;
  #borrower: object | undefined;

  /** The decoder's cache belongs to this reader from now on. */
  constructor(decoder: ReadDecoder, { contextLength, vocabSize }: Shape) {
    this.#decoder = decoder;
    this.contextLength = contextLength;
    this.#vocabSize = vocabSize;
  }

  /**
   * Leaves the decoder's cache to a borrower until the reader reads again. Returns whether it still holds what this
   * borrower had in it last.
   */
  lend(borrower: object): boolean {
    const isUntouched = this.#borrower === borrower;
    this.#borrower = borrower;
    this.#ids = [];
    return isUntouched;
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
  async #read(ids: readonly number[], nRows: number, { signal, placed }: ReadTextOptions): Promise<Float32Array> {
    if (ids.length === 0) throw new LongsightError("bad-input", "There is no text to read; give at least one token.");
    const nPlaced = placed?.nTokens ?? 0;
    const at = placed?.at ?? Number.POSITIVE_INFINITY;
    const position = (index: number) => (index < at ? index : index + nPlaced);
    if (ids.length + nPlaced > this.contextLength) {
      throw new LongsightError(
        "bad-input",
        `The text has ${ids.length + nPlaced} tokens, the model reads ${this.contextLength} at most; shorten it.`,
      );
    }
    // Tokens whose logits are wanted are always read: logits are not kept.
    const lastStart = ids.length - nRows;
    const before = placed === this.#placed ? Number.POSITIVE_INFINITY : Math.min(at, this.#placed?.at ?? at);
    const nCommon = Math.min(commonPrefix(this.#ids, ids), lastStart, before);
    const nKept = this.#decoder.holds(position(nCommon)) ? nCommon : 0;
    this.#borrower = undefined;
    for (let at = nKept; at < ids.length; at++) this.#check(ids[at]);
    for (let start = nKept, end = 0; ; start = end) {
      await betweenRuns(signal);
      // All rows that are wanted belong to one run, the last, however long.
      end = start + runTokens(position(start));
      end = end >= ids.length || start === lastStart ? ids.length : Math.min(end, lastStart);
      // What is placed begins a run of its own.
      if (start < at) end = Math.min(end, at);
      const part = ids.slice(start, end);
      // A run that fails leaves what it overwrote undefined.
      this.#ids = this.#ids.slice(0, start);
      this.#placed = placed;
      if (placed && start === at) this.#place(placed);
      const rows = end === ids.length ? Array.from({ length: nRows }, (_, row) => part.length - nRows + row) : [];
      const logits = await this.#decoder.run(part, position(start), rows);
      this.#ids = ids.slice(0, end);
      if (end === ids.length) return logits;
    }
  }

  #place({ at, rows }: PlacedMemory): void {
    let position = at;
    for (const block of rows) {
      this.#decoder.place(position, block);
      position += block.n;
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

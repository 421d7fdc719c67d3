/** What generation needs of a model, whatever it is made of: the logits behind a text, reusing what was read before. */

import type { PlacelessRows } from "./decoder.ts";
import type { RoutedMemory } from "./hybrid-routing.ts";

/** Tokens that were read elsewhere and stand in a text before the id with the index `at`; they take positions there. */
export interface PlacedMemory {
  readonly at: number;
  readonly nTokens: number;
  readonly rows: readonly PlacelessRows[];
}

export interface ReadTextOptions {
  /** Observed between two session runs. */
  readonly signal?: AbortSignal;
  /** The repository's memory, for models with memory layers; others do without. */
  readonly memory?: RoutedMemory;
  /** For decoders without memory layers. What was placed stays as long as later calls give the same object. */
  readonly placed?: PlacedMemory;
}

/** A model with one text in its state. One call at a time. */
export interface TextReader {
  /** The longest text the model was made for, in tokens. */
  readonly contextLength: number;
  /**
   * The logits [vocabSize] behind the last of `ids`, at least one, valid until the next call. What `ids` has in common
   * with the text of the call before is not read again, so generating is reading one token more each time. Errors:
   * bad-input for ids outside the vocabulary, cancelled.
   */
  readText(ids: readonly number[], options?: ReadTextOptions): Promise<Float32Array>;
}

/** A reader that can look ahead. */
export interface DraftReader extends TextReader {
  /**
   * Like readText, and in the same run the logits behind each token of a guess of how the text goes on: 1 + draft.length
   * arrays, as readText would give them one after another. What of the guess turns out wrong costs little to take back:
   * the next text is read from `ids` on. With a memory, the guess attends to what was chosen before it.
   */
  readDraft(ids: readonly number[], draft: readonly number[], options?: ReadTextOptions): Promise<Float32Array[]>;
}

/** The rows of an array [nRows, row length]. */
export function rowsOf(data: Float32Array, nRows: number): Float32Array[] {
  const length = data.length / nRows;
  return Array.from({ length: nRows }, (_, row) => data.subarray(row * length, (row + 1) * length));
}

/** How many ids two texts have in common at their beginning. */
export function commonPrefix(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return i;
  return length;
}

/**
 * The keys and values of the tokens that retrieval heads may attend to: typed arrays owned here, which runs read in place
 * and whose new rows are appended after each run. Keys are stored rotated. What lies beyond the tokens in use is never
 * read.
 */
import { BLOCK_TOKENS } from "../attention/plan.ts";
import type { CacheType } from "../compiler/attention.ts";
import { LongsightError } from "../errors.ts";

/** float16 values are kept as their bits. */
export type CacheArray = Float32Array | Uint16Array;

export interface CacheShape {
  /** Of every layer, the key/value heads that are kept. */
  readonly heads: readonly (readonly number[])[];
  /** All key/value heads of a layer. */
  readonly nKvHeads: number;
  readonly headSize: number;
  readonly type: CacheType;
}

/** A full cache grows by this share: runs of one token read unused keys too, so room costs time as well as memory. */
const GROWTH = 1 / 8;

export const cacheArray = (type: CacheType, size: number): CacheArray =>
  type === "float32" ? new Float32Array(size) : new Uint16Array(size);

/** The numbers of an array of bits; both are the same memory. */
export const asFloats = (array: CacheArray): Float32Array | Float16Array =>
  array instanceof Float32Array ? array : new Float16Array(array.buffer, array.byteOffset, array.length);

export class KvCache {
  /** Tokens for which there is room: whole blocks. */
  capacity = 0;
  #keys: CacheArray[] = [];
  #values: CacheArray[] = [];
  readonly #shape: CacheShape;

  constructor(shape: CacheShape) {
    this.#shape = shape;
    this.reserve(1);
  }

  /**
   * Makes room for `nTokens` in all and keeps what is stored. Returns whether the arrays were replaced. Errors: bad-input
   * where memory does not suffice, which leaves the cache as it was.
   */
  reserve(nTokens: number): boolean {
    if (nTokens <= this.capacity) return false;
    const roomy = Math.max(nTokens, this.capacity * (1 + GROWTH));
    const capacity = Math.ceil(roomy / BLOCK_TOKENS) * BLOCK_TOKENS;
    const moved = (arrays: readonly CacheArray[]) =>
      this.#shape.heads.map((heads, layer) => this.#moved(arrays[layer], heads.length, capacity));
    try {
      [this.#keys, this.#values] = [moved(this.#keys), moved(this.#values)];
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      const sentence = `A text of ${nTokens} tokens needs more memory than there is; shorten it.`;
      throw new LongsightError("bad-input", sentence, { cause: error });
    }
    this.capacity = capacity;
    return true;
  }

  /** One array per layer: [heads, capacity, headSize]. */
  get keys(): readonly CacheArray[] {
    return this.#keys;
  }

  get values(): readonly CacheArray[] {
    return this.#values;
  }

  /** Stores the rows of `n` tokens behind the first `nPast`: keys and values [layers * nKvHeads, n, headSize]. */
  append(nPast: number, n: number, keys: CacheArray, values: CacheArray): void {
    const { nKvHeads, headSize } = this.#shape;
    for (const [layer, heads] of this.#shape.heads.entries()) {
      for (const [i, head] of heads.entries()) {
        const from = (layer * nKvHeads + head) * n * headSize;
        const to = (i * this.capacity + nPast) * headSize;
        this.keys[layer].set(keys.subarray(from, from + n * headSize), to);
        this.values[layer].set(values.subarray(from, from + n * headSize), to);
      }
    }
  }

  /** The rows of `n` tokens from `first` on, of all kept heads, layer after layer: [kept heads, n, headSize]. */
  copy(first: number, n: number): { keys: CacheArray; values: CacheArray } {
    const { heads, headSize, type } = this.#shape;
    const nKept = heads.reduce((sum, { length }) => sum + length, 0);
    const [keys, values] = [0, 1].map(() => cacheArray(type, nKept * n * headSize));
    this.#eachHead((layer, from, row) => {
      const [start, end] = [from + first * headSize, from + (first + n) * headSize];
      keys.set(this.keys[layer].subarray(start, end), row * n * headSize);
      values.set(this.values[layer].subarray(start, end), row * n * headSize);
    });
    return { keys, values };
  }

  /** Puts such rows at the place of `n` tokens from `first` on, for which there must be room. */
  paste(first: number, n: number, rows: { readonly keys: CacheArray; readonly values: CacheArray }): void {
    const { headSize } = this.#shape;
    this.#eachHead((layer, from, row) => {
      const part = (array: CacheArray) => array.subarray(row * n * headSize, (row + 1) * n * headSize);
      this.keys[layer].set(part(rows.keys), from + first * headSize);
      this.values[layer].set(part(rows.values), from + first * headSize);
    });
  }

  /** Calls with each kept head's layer, the index where its rows begin in the layer's arrays, and its number. */
  #eachHead(visit: (layer: number, from: number, row: number) => void): void {
    let row = 0;
    for (const [layer, heads] of this.#shape.heads.entries()) {
      for (let i = 0; i < heads.length; i++) visit(layer, i * this.capacity * this.#shape.headSize, row++);
    }
  }

  #moved(old: CacheArray | undefined, nHeads: number, capacity: number): CacheArray {
    const { headSize, type } = this.#shape;
    const grown = cacheArray(type, nHeads * capacity * headSize);
    if (old === undefined) return grown;
    const oldRow = this.capacity * headSize;
    for (let head = 0; head < nHeads; head++) {
      grown.set(old.subarray(head * oldRow, (head + 1) * oldRow), head * capacity * headSize);
    }
    return grown;
  }
}

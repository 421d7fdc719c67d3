/**
 * The keys and values of the tokens a model has read: typed arrays owned here, which runs read in place and whose new
 * rows are appended after each run. Keys are stored rotated. What lies beyond the tokens in use is never read.
 */
import type { DecoderConfig } from "../models/types.ts";

type Shape = Pick<DecoderConfig, "nLayers" | "nKvHeads" | "headSize" | "contextLength">;

/** float16 values are kept as their bits. */
export type CacheArray = Float32Array | Uint16Array;
export type CacheType = "float32" | "float16";

/** The smallest cache, and the unit caches grow by, in tokens. */
const UNIT_TOKENS = 64;

/** A full cache grows by this share: runs of one token read unused keys too, so room costs time as well as memory. */
const GROWTH = 1 / 8;

export class KvCache {
  readonly type: CacheType;
  /** Tokens for which there is room. */
  capacity = 0;
  /** One array per layer: [nKvHeads, capacity, headSize]. */
  readonly keys: CacheArray[] = [];
  readonly values: CacheArray[] = [];
  readonly #shape: Shape;

  constructor(shape: Shape, type: CacheType) {
    this.#shape = shape;
    this.type = type;
    this.reserve(1);
  }

  /** Makes room for `nTokens` in all and keeps what is stored. Returns whether the arrays were replaced. */
  reserve(nTokens: number): boolean {
    if (nTokens <= this.capacity) return false;
    const { nLayers, contextLength } = this.#shape;
    const roomy = Math.ceil(Math.max(nTokens, this.capacity * (1 + GROWTH)) / UNIT_TOKENS) * UNIT_TOKENS;
    const capacity = Math.max(nTokens, Math.min(roomy, contextLength));
    for (let layer = 0; layer < nLayers; layer++) {
      this.keys[layer] = this.#moved(this.keys[layer], capacity);
      this.values[layer] = this.#moved(this.values[layer], capacity);
    }
    this.capacity = capacity;
    return true;
  }

  /** Stores the rows of `n` tokens behind the first `nPast`: keys and values [nLayers * nKvHeads, n, headSize]. */
  append(nPast: number, n: number, keys: CacheArray, values: CacheArray): void {
    const { nLayers, nKvHeads, headSize } = this.#shape;
    for (let layer = 0; layer < nLayers; layer++) {
      for (let head = 0; head < nKvHeads; head++) {
        const from = (layer * nKvHeads + head) * n * headSize;
        const to = (head * this.capacity + nPast) * headSize;
        this.keys[layer].set(keys.subarray(from, from + n * headSize), to);
        this.values[layer].set(values.subarray(from, from + n * headSize), to);
      }
    }
  }

  #moved(old: CacheArray | undefined, capacity: number): CacheArray {
    const { nKvHeads, headSize } = this.#shape;
    const size = nKvHeads * capacity * headSize;
    const grown = this.type === "float32" ? new Float32Array(size) : new Uint16Array(size);
    if (old === undefined) return grown;
    const oldRow = this.capacity * headSize;
    for (let head = 0; head < nKvHeads; head++) {
      grown.set(old.subarray(head * oldRow, (head + 1) * oldRow), head * capacity * headSize);
    }
    return grown;
  }
}

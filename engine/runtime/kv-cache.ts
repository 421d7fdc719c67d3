/**
 * The keys and values of the tokens a model has read: typed arrays owned here, which every run reads and appends to in
 * place. Keys are stored rotated. A cache grows by doubling; what lies beyond its length is never read.
 */
import type { DecoderConfig } from "../models/types.ts";

type Shape = Pick<DecoderConfig, "nLayers" | "nKvHeads" | "headSize" | "contextLength">;

/** Tokens of the smallest cache. */
const MIN_CAPACITY = 256;

export class KvCache {
  /** Tokens for which there is room. */
  capacity = 0;
  /** One array per layer: [nKvHeads, capacity, headSize]. */
  keys: Float32Array[] = [];
  values: Float32Array[] = [];
  readonly #shape: Shape;

  constructor(shape: Shape) {
    this.#shape = shape;
    this.reserve(1);
  }

  /** Makes room for `nTokens` in all and keeps what is stored. Returns whether the arrays were replaced. */
  reserve(nTokens: number): boolean {
    if (nTokens <= this.capacity) return false;
    const { nLayers, contextLength } = this.#shape;
    const doubled = Math.max(MIN_CAPACITY, this.capacity * 2, nTokens);
    const capacity = Math.max(nTokens, Math.min(doubled, contextLength));
    for (let layer = 0; layer < nLayers; layer++) {
      this.keys[layer] = this.#moved(this.keys[layer], capacity);
      this.values[layer] = this.#moved(this.values[layer], capacity);
    }
    this.capacity = capacity;
    return true;
  }

  #moved(old: Float32Array | undefined, capacity: number): Float32Array {
    const { nKvHeads, headSize } = this.#shape;
    const grown = new Float32Array(nKvHeads * capacity * headSize);
    if (old === undefined) return grown;
    const oldRow = this.capacity * headSize;
    for (let head = 0; head < nKvHeads; head++) {
      grown.set(old.subarray(head * oldRow, (head + 1) * oldRow), head * capacity * headSize);
    }
    return grown;
  }
}

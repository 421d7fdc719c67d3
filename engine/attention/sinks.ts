/**
 * Sinks found by the attention that keys receive: a key is one where the queries that see it give it several times an even
 * share, on average. Sums and counts are kept, so that reading a text run by run finds what its whole map would. Source: ACT
 * (arXiv 2406.15765), section 2a of whose released code looks at single rows instead.
 */

/** An even share is taken of so many keys at most: in long texts every key that somebody wants has several of the real ones. */
const EVEN_KEYS = 512;

/** Whether a key with a mean share is a sink for a head that sees `nKeys` keys; `factor` counts even shares. */
export const isSink = (mean: number, nKeys: number, factor: number) => mean > factor / Math.min(nKeys, EVEN_KEYS);

/** What the keys of one layer have received, by head. */
export class ReceivedAttention {
  /** [nHeads][keys] */
  readonly #sums: Float64Array[];
  /** How many queries saw each key. */
  #counts = new Float64Array(0);

  constructor(nHeads: number) {
    this.#sums = Array.from({ length: nHeads }, () => new Float64Array(0));
  }

  /** Adds what the first `nKeys` keys got from `nQueries` queries that saw all of them: sums [nHeads, at least nKeys]. */
  add(sums: ArrayLike<number>, nKeys: number, nQueries: number): void {
    if (nKeys > this.#counts.length) this.#grow(nKeys);
    const stride = sums.length / this.#sums.length;
    for (let key = 0; key < nKeys; key++) this.#counts[key] += nQueries;
    for (const [head, all] of this.#sums.entries()) {
      for (let key = 0; key < nKeys; key++) all[key] += sums[head * stride + key];
    }
  }

  /** The mean share that a key got; 0 where nobody has seen it. */
  mean(head: number, key: number): number {
    return key < this.#counts.length && this.#counts[key] > 0 ? this.#sums[head][key] / this.#counts[key] : 0;
  }

  clear(): void {
    this.#counts.fill(0);
    for (const all of this.#sums) all.fill(0);
  }

  #grow(nKeys: number): void {
    const longer = (old: Float64Array) => {
      const grown = new Float64Array(Math.max(nKeys, 2 * old.length));
      grown.set(old);
      return grown;
    };
    this.#counts = longer(this.#counts);
    for (const [head, all] of this.#sums.entries()) this.#sums[head] = longer(all);
  }
}

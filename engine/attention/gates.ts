/**
 * Gates of key/value heads: how much each needs tokens that lie far back, from 0 to 1 (DuoAttention). A model's own gates
 * are learned and lie beside it in a file; for models without one this estimates them from the attention they pay.
 */
import type { HeadGates } from "./plan.ts";

/**
 * Gates in the order of some measure of need, evenly from 0 to 1: the needier half of all heads gets a half and more.
 * [nLayers][nKvHeads], both.
 */
export function rankedGates(needs: readonly (readonly number[])[]): HeadGates {
  const sorted = needs.flat().sort((a, b) => a - b);
  return needs.map((layer) => layer.map((need) => sorted.indexOf(need) / Math.max(sorted.length - 1, 1)));
}

/** What streaming heads would see, and the query's position. */
interface Span {
  readonly sinks: number;
  readonly window: number;
  readonly query: number;
}

/**
 * The largest share that a query head of the group gives to keys that streaming would hide: queries [nGroup, headSize],
 * keys [n, headSize] of the positions 0 .. n - 1, both rotated. The query's own key is the last.
 */
export function farShare(
  queries: Float32Array,
  keys: Float32Array,
  headSize: number,
  { sinks, window, query }: Span,
): number {
  const n = keys.length / headSize;
  let largest = 0;
  for (let head = 0; head < queries.length / headSize; head++) {
    const scores = new Float64Array(n);
    for (let key = 0; key < n; key++) {
      let dot = 0;
      for (let i = 0; i < headSize; i++) dot += queries[head * headSize + i] * keys[key * headSize + i];
      scores[key] = dot / Math.sqrt(headSize);
    }
    const max = scores.reduce((a, b) => Math.max(a, b));
    let [sum, far] = [0, 0];
    scores.forEach((score, key) => {
      const weight = Math.exp(score - max);
      sum += weight;
      if (key >= sinks && query - key >= window) far += weight;
    });
    largest = Math.max(largest, far / sum);
  }
  return largest;
}

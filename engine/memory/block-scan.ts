/**
 * Compares candidate blocks by what a text's heads really ask for: a block's share of the attention to all candidates,
 * from the high planes of its keys. Of the best blocks those are told whose low planes may be left unread.
 */
import { shareAtMost, shareError } from "../attention/flatness.ts";
import type { QuantisedRows } from "../runtime/hybrid-memory.ts";
import { HIGH_ERROR } from "./key-planes.ts";

export interface Candidate {
  /** [nTokens, headSize], from the high plane alone. */
  readonly keys: QuantisedRows;
  /** What every head adds to the scores of the block, [nHeads]. */
  readonly biases: Float32Array;
}

export interface RankedBlocks {
  /** Indices of the best candidates, best first. */
  readonly best: readonly number[];
  /** Those of them for which the high plane is enough. */
  readonly rough: ReadonlySet<number>;
}

/**
 * The best `k` of the candidates for queries [nHeads, headSize] with the score scale multiplied in. A block's score is its
 * share of the attention to all candidates, the mean over the heads. Attention of these queries to the best blocks, with
 * rough keys where they are enough, differs from that with exact keys by `tolerance` at most, summed over all keys.
 */
export function rankBlocks(
  queries: Float32Array,
  candidates: readonly Candidate[],
  k: number,
  tolerance: number,
): RankedBlocks {
  const nHeads = candidates[0]?.biases.length ?? 0;
  const headSize = queries.length / nHeads;
  const heads = Array.from({ length: nHeads }, (_, head) =>
    headScan(queries.subarray(head * headSize, (head + 1) * headSize), candidates, head),
  );
  const pooled = new Float64Array(candidates.length);
  for (const { masses } of heads) {
    const all = sharesOf(masses, [...masses.keys()]);
    for (const [i, share] of all.entries()) pooled[i] += share;
  }
  const best = [...pooled.keys()].sort((a, b) => pooled[b] - pooled[a] || a - b).slice(0, k);
  return { best, rough: roughOf(heads, best, tolerance) };
}

/** What a head sees of each candidate. */
interface HeadScan {
  /** The logarithm of the block's part of the softmax's denominator. */
  readonly masses: Float64Array;
  /** The most that a score can be off. */
  readonly errors: Float64Array;
}

function headScan(query: Float32Array, candidates: readonly Candidate[], head: number): HeadScan {
  const masses = new Float64Array(candidates.length);
  const errors = new Float64Array(candidates.length);
  const reach = HIGH_ERROR * query.reduce((sum, x) => sum + Math.abs(x), 0);
  for (const [i, { keys, biases }] of candidates.entries()) {
    const nTokens = keys.scales.length;
    const scores = new Float64Array(nTokens);
    let max = Number.NEGATIVE_INFINITY;
    let largestScale = 0;
    for (let token = 0, at = 0; token < nTokens; token++) {
      let dot = 0;
      for (let c = 0; c < query.length; c++) dot += query[c] * keys.values[at++];
      const scale = keys.scales[token];
      scores[token] = dot * scale;
      max = Math.max(max, scores[token]);
      largestScale = Math.max(largestScale, scale);
    }
    masses[i] = biases[head] + max + Math.log(scores.reduce((sum, score) => sum + Math.exp(score - max), 0));
    errors[i] = reach * largestScale;
  }
  return { masses, errors };
}

/** The shares of some blocks among themselves, in their order. */
function sharesOf(masses: Float64Array, blocks: readonly number[]): number[] {
  const max = blocks.reduce((largest, block) => Math.max(largest, masses[block]), Number.NEGATIVE_INFINITY);
  const weights = blocks.map((block) => Math.exp(masses[block] - max));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}

/** Blocks by the largest share any head gives them, the smallest first, as long as the bound allows. */
function roughOf(heads: readonly HeadScan[], best: readonly number[], tolerance: number): Set<number> {
  const shares = heads.map(({ masses }) => sharesOf(masses, best));
  const largest = best.map((_, i) => Math.max(...shares.map((ofHead) => ofHead[i])));
  const order = [...best.keys()].sort((a, b) => largest[a] - largest[b]);
  const rough = new Set<number>();
  for (const [n, i] of order.entries()) {
    const some = order.slice(0, n + 1);
    const isEnough = heads.every(({ errors }, head) => {
      const share = some.reduce((sum, one) => sum + shares[head][one], 0);
      const worst = Math.max(...best.map((block) => errors[block]));
      const delta = Math.max(...some.map((one) => errors[best[one]]));
      return shareError(shareAtMost(share, worst), delta) <= tolerance;
    });
    if (!isEnough) break;
    rough.add(best[i]);
  }
  return rough;
}

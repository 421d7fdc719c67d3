/**
 * Compares candidate blocks by what a text's heads really ask for: a block's share of the attention to all candidates,
 * from the high planes of its keys. Many candidates are searched as a tree whose roots are the blocks, and a block's share is
 * that of the keys that were found. Of the best blocks those are told whose low planes may be left unread.
 */
import { shareAtMost, shareError } from "../attention/flatness.ts";
import { type Chunk, treeSearch } from "../attention/hierarchy.ts";
import type { QuantisedRows } from "../runtime/hybrid-memory.ts";
import { HIGH_ERROR } from "./key-planes.ts";

/** Keys of candidates from which on a tree is searched, and how many keys it finds: below that it costs accuracy. */
const TREE_TOKENS = 4096;
const TREE_KEYS = 512;

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
 * The best `k` of the candidates for queries [n, nHeads, headSize] with the score scale multiplied in. A block's score is
 * its share of the attention to all candidates, the mean over tokens and heads. Attention of these queries to the best blocks, with
 * rough keys where they are enough, differs from that with exact keys by `tolerance` at most, summed over all keys.
 */
export function rankBlocks(
  queries: Float32Array,
  candidates: readonly Candidate[],
  k: number,
  tolerance: number,
): RankedBlocks {
  if (candidates.length === 0) return { best: [], rough: new Set() };
  const [{ keys, biases }] = candidates;
  const headSize = keys.values.length / keys.scales.length;
  const scanned = candidates.map(scannable);
  const nTokens = scanned.reduce((sum, { scales }) => sum + scales.length, 0);
  const asked = Array.from({ length: queries.length / headSize }, (_, row) => ({
    query: queries.subarray(row * headSize, (row + 1) * headSize),
    head: row % biases.length,
  }));
  const isLarge = nTokens > TREE_TOKENS;
  const scans = asked.map(({ query, head }) => (isLarge ? treeMasses : scanMasses)(query, scanned, head));
  const pooled = new Float64Array(candidates.length);
  for (const masses of scans) {
    for (const [i, share] of sharesOf(masses).entries()) pooled[i] += share;
  }
  const best = [...pooled.keys()].sort((a, b) => pooled[b] - pooled[a] || a - b).slice(0, k);
  const chosen = best.map((i) => scanned[i]);
  const rough = roughOf(
    asked.map(({ query, head }) => headScan(query, chosen, head)),
    tolerance,
  );
  return { best, rough: new Set([...rough].map((i) => best[i])) };
}

/** A candidate whose numbers are quick to read. */
interface Scannable {
  readonly values: Int8Array;
  /** [nTokens] */
  readonly scales: Float32Array;
  readonly biases: Float32Array;
}

const scannable = ({ keys, biases }: Candidate): Scannable => ({
  values: keys.values,
  scales: new Float32Array(keys.scales),
  biases,
});

/** What a head sees of each candidate. */
interface HeadScan {
  /** The logarithm of the block's part of the softmax's denominator. */
  readonly masses: Float64Array;
  /** The most that a score can be off. */
  readonly errors: Float64Array;
}

function headScan(query: Float32Array, candidates: readonly Scannable[], head: number): HeadScan {
  const reach = HIGH_ERROR * query.reduce((sum, x) => sum + Math.abs(x), 0);
  const errors = Float64Array.from(candidates, ({ scales }) => reach * Math.max(...scales));
  return { masses: scanMasses(query, candidates, head), errors };
}

/** HeadScan's masses. */
function scanMasses(query: Float32Array, candidates: readonly Scannable[], head: number): Float64Array {
  const masses = new Float64Array(candidates.length);
  for (const [i, candidate] of candidates.entries()) {
    const scores = new Float64Array(candidate.scales.length);
    for (let token = 0; token < scores.length; token++) scores[token] = scoreOf(query, candidate, token);
    masses[i] = candidate.biases[head] + logSumExp(scores);
  }
  return masses;
}

/** HeadScan's masses, of the keys that a tree search over all candidates finds. */
function treeMasses(query: Float32Array, candidates: readonly Scannable[], head: number): Float64Array {
  const chunks: Chunk[] = [];
  const owners: number[] = [];
  for (const [i, { scales }] of candidates.entries()) {
    const first = owners.length;
    for (let token = 0; token < scales.length; token++) owners.push(i);
    chunks.push({ first, end: owners.length });
  }
  const { keys, scores } = treeSearch(chunks, TREE_KEYS, (key) => {
    const i = owners[key];
    return candidates[i].biases[head] + scoreOf(query, candidates[i], key - chunks[i].first);
  });
  const found = candidates.map((): number[] => []);
  for (const [rank, key] of keys.entries()) found[owners[key]].push(scores[rank]);
  return Float64Array.from(found, logSumExp);
}

function scoreOf(query: Float32Array, { values, scales }: Scannable, token: number): number {
  let dot = 0;
  for (let c = 0, at = token * query.length; c < query.length; c++) dot += query[c] * values[at++];
  return dot * scales[token];
}

/** -Infinity for no numbers. */
function logSumExp(x: ArrayLike<number>): number {
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < x.length; i++) max = Math.max(max, x[i]);
  if (max === Number.NEGATIVE_INFINITY) return max;
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += Math.exp(x[i] - max);
  return max + Math.log(sum);
}

/** Shares of blocks among themselves. */
function sharesOf(masses: Float64Array): Float64Array {
  const all = logSumExp(masses);
  return masses.map((mass) => Math.exp(mass - all));
}

/** Blocks by the largest share any head gives them, the smallest first, as long as the bound allows. */
function roughOf(heads: readonly HeadScan[], tolerance: number): Set<number> {
  const shares = heads.map(({ masses }) => sharesOf(masses));
  const largest = Array.from(shares[0] ?? [], (_, i) => Math.max(...shares.map((ofHead) => ofHead[i])));
  const order = [...largest.keys()].sort((a, b) => largest[a] - largest[b]);
  const rough = new Set<number>();
  for (const [n, block] of order.entries()) {
    const some = order.slice(0, n + 1);
    const isEnough = heads.every(({ errors }, head) => {
      const share = some.reduce((sum, one) => sum + shares[head][one], 0);
      const delta = Math.max(...some.map((one) => errors[one]));
      return shareError(shareAtMost(Math.min(share, 1), Math.max(...errors)), delta) <= tolerance;
    });
    if (!isEnough) break;
    rough.add(block);
  }
  return rough;
}

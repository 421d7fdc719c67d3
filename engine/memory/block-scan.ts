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
  /** The codes of its keys [nKeys, headSize], from the high plane alone. */
  readonly codes: Int8Array;
  /** [nKeys]; half-precision numbers are slow to read. */
  readonly scales: Float32Array;
  /** What every head adds to the scores of the block, [nHeads]. */
  readonly biases: Float32Array;
}

export function candidateOf({ values, scales }: QuantisedRows, biases: Float32Array): Candidate {
  return { codes: values, scales: new Float32Array(scales), biases };
}

export interface RankedBlocks {
  /** Indices of the best candidates, best first. */
  readonly best: readonly number[];
  /** Those of them for which the high plane is enough. */
  readonly rough: ReadonlySet<number>;
}

/** What one token asks of keys: [nHeads, headSize] with the score scale multiplied in. */
export type TokenHeads = Float32Array;

/** Compares blocks for the tokens of one text, and remembers what it has compared: most tokens ask several times. */
export class BlockScan {
  /** HeadScan's mass of each head [nHeads], by token and candidate. */
  readonly #masses = new WeakMap<TokenHeads, WeakMap<Candidate, Float64Array>>();

  /**
   * The best `k` of the candidates for some tokens. A block's score is its share of the attention to all candidates, the mean
   * over tokens and heads. Attention of these tokens to the best blocks, with rough keys where they are enough, differs from that
   * with exact keys by `tolerance` at most, summed over all keys.
   */
  rank(tokens: readonly TokenHeads[], candidates: readonly Candidate[], k: number, tolerance: number): RankedBlocks {
    if (candidates.length === 0) return { best: [], rough: new Set() };
    const nKeys = candidates.reduce((sum, { scales }) => sum + scales.length, 0);
    const pooled = new Float64Array(candidates.length);
    for (const token of tokens) {
      const byHead = nKeys > TREE_TOKENS ? treeMasses(token, candidates) : this.#massesOf(token, candidates);
      for (const masses of byHead) for (const [i, share] of sharesOf(masses).entries()) pooled[i] += share;
    }
    const best = [...pooled.keys()].sort((a, b) => pooled[b] - pooled[a] || a - b).slice(0, k);
    const chosen = best.map((i) => candidates[i]);
    const heads = tokens.flatMap((token) => {
      const errors = errorsOf(token, chosen);
      return this.#massesOf(token, chosen).map((masses, head) => ({ masses, errors: errors[head] }));
    });
    return { best, rough: new Set([...roughOf(heads, tolerance)].map((i) => best[i])) };
  }

  /** For each head the candidates' masses. */
  #massesOf(token: TokenHeads, candidates: readonly Candidate[]): Float64Array[] {
    const known = this.#masses.get(token) ?? new WeakMap<Candidate, Float64Array>();
    this.#masses.set(token, known);
    const byCandidate = candidates.map((candidate) => {
      const masses = known.get(candidate) ?? scanMasses(token, candidate);
      known.set(candidate, masses);
      return masses;
    });
    return headsOf(token, candidates).map((_, head) => Float64Array.from(byCandidate, (masses) => masses[head]));
  }
}

/** What a head sees of each candidate. */
interface HeadScan {
  /** The logarithm of the block's part of the softmax's denominator. */
  readonly masses: Float64Array;
  /** The most that a score can be off. */
  readonly errors: Float64Array;
}

/** The query of each head. */
function headsOf(token: TokenHeads, [{ biases }]: readonly Candidate[]): Float32Array[] {
  const headSize = token.length / biases.length;
  return Array.from(biases, (_, head) => token.subarray(head * headSize, (head + 1) * headSize));
}

/** For each head HeadScan's errors. */
function errorsOf(token: TokenHeads, candidates: readonly Candidate[]): Float64Array[] {
  const largest = candidates.map(({ scales }) => Math.max(...scales));
  return headsOf(token, candidates).map((query) => {
    const reach = HIGH_ERROR * query.reduce((sum, x) => sum + Math.abs(x), 0);
    return Float64Array.from(largest, (scale) => reach * scale);
  });
}

/** One candidate's mass for each head, [nHeads]. */
function scanMasses(token: TokenHeads, { codes, scales, biases }: Candidate): Float64Array {
  const n = scales.length;
  const scores = new Float64Array(biases.length * n);
  for (let head = 0; head < biases.length; head += HEADS_AT_ONCE) dotsInto(scores, token, codes, head, n);
  return Float64Array.from(biases, (bias, head) => {
    const ofHead = scores.subarray(head * n, (head + 1) * n);
    for (let key = 0; key < n; key++) ofHead[key] *= scales[key];
    return bias + logSumExp(ofHead);
  });
}

const HEADS_AT_ONCE = 4;

/**
 * The products of the queries of the heads from `head` on, four of them or what there are, with the codes of `n` keys:
 * scores [nHeads, n]. Every code is read once for four heads, which takes a third of the time of head after head.
 */
function dotsInto(scores: Float64Array, token: TokenHeads, codes: Int8Array, head: number, n: number): void {
  const size = codes.length / n;
  const [at0, at1, at2, at3] = [0, 1, 2, 3].map((i) => (head + i) * size);
  const isWhole = at3 + size <= token.length;
  const q = isWhole ? token : new Float32Array(at3 + size);
  if (!isWhole) q.set(token);
  for (let key = 0, at = 0; key < n; key++) {
    let a = 0;
    let b = 0;
    let c = 0;
    let d = 0;
    for (let i = 0; i < size; i++) {
      const code = codes[at++];
      a += q[at0 + i] * code;
      b += q[at1 + i] * code;
      c += q[at2 + i] * code;
      d += q[at3 + i] * code;
    }
    // What lies behind the last head is written nowhere.
    scores[head * n + key] = a;
    scores[(head + 1) * n + key] = b;
    scores[(head + 2) * n + key] = c;
    scores[(head + 3) * n + key] = d;
  }
}

/** For each head HeadScan's masses, of the keys that a tree search over all candidates finds. */
function treeMasses(token: TokenHeads, candidates: readonly Candidate[]): Float64Array[] {
  const chunks: Chunk[] = [];
  const owners: number[] = [];
  for (const [i, { scales }] of candidates.entries()) {
    const first = owners.length;
    for (let key = 0; key < scales.length; key++) owners.push(i);
    chunks.push({ first, end: owners.length });
  }
  return headsOf(token, candidates).map((query, head) => {
    const { keys, scores } = treeSearch(chunks, TREE_KEYS, (key) => {
      const i = owners[key];
      const at = key - chunks[i].first;
      return candidates[i].biases[head] + dot(query, candidates[i], at) * candidates[i].scales[at];
    });
    const found = candidates.map((): number[] => []);
    for (const [rank, key] of keys.entries()) found[owners[key]].push(scores[rank]);
    return Float64Array.from(found, logSumExp);
  });
}

/** Of a query and the codes of a key. */
function dot(query: Float32Array, { codes }: Candidate, key: number): number {
  let sum = 0;
  for (let c = 0, at = key * query.length; c < query.length; c++) sum += query[c] * codes[at++];
  return sum;
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

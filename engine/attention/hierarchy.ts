/**
 * The best of many keys without scoring them all: each chunk of neighbours is scored by its centre, the best chunks are
 * halved, again and again (HiP, arXiv 2406.09827). A chunk that is dropped never comes back, so a key unlike all its
 * neighbours can be lost; chunks should not reach across the borders of texts.
 */

/** Keys first .. end - 1. */
export interface Chunk {
  readonly first: number;
  readonly end: number;
}

export interface TreeResult {
  /** At most `k`, best first; of equal ones the earlier first. */
  readonly keys: readonly number[];
  readonly scores: readonly number[];
  /** How many keys were scored. */
  readonly nScored: number;
}

interface Branch extends Chunk {
  readonly score: number;
}

/** `n` keys as `k` even chunks, the form of the paper. */
export function evenChunks(n: number, k: number): Chunk[] {
  const border = (j: number) => Math.round((j * n) / k);
  return Array.from({ length: k }, (_, j) => ({ first: border(j), end: border(j + 1) })).filter(
    ({ first, end }) => first < end,
  );
}

/** Searches disjoint chunks for the `k` keys with the largest scores. From k of them on, 2k keys are scored per halving. */
export function treeSearch(chunks: readonly Chunk[], k: number, scoreOf: (key: number) => number): TreeResult {
  let nScored = 0;
  const scored = ({ first, end }: Chunk): Branch => {
    nScored++;
    return { first, end, score: scoreOf((first + end) >> 1) };
  };
  const isKey = ({ first, end }: Chunk) => end - first === 1;
  // Single keys are never split, so their scores are those they begin with.
  let branches = chunks.map((chunk): Branch => (isKey(chunk) ? scored(chunk) : { ...chunk, score: 0 }));
  while (!branches.every(isKey)) {
    const halves = branches.flatMap((branch) => {
      if (isKey(branch)) return [branch];
      const middle = (branch.first + branch.end) >> 1;
      return [scored({ first: branch.first, end: middle }), scored({ first: middle, end: branch.end })];
    });
    branches = best(halves, k);
  }
  branches = best(branches, k);
  return { keys: branches.map(({ first }) => first), scores: branches.map(({ score }) => score), nScored };
}

const best = (branches: readonly Branch[], k: number) =>
  [...branches].sort((a, b) => b.score - a.score || a.first - b.first).slice(0, k);

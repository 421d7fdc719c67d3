/** Ranking metrics over cases: the rank of the first file that counts as found. */

export interface Metrics {
  hit1: number;
  hit5: number;
  hit10: number;
  /** Mean reciprocal rank; a case where nothing was found counts 0. */
  mrr: number;
}

/** The rank, from 1, of the first ranked path that is in `gold`; Infinity where none is. */
export function firstRank(ranked: readonly string[], gold: readonly string[]): number {
  const found = ranked.findIndex((path) => gold.includes(path));
  return found < 0 ? Number.POSITIVE_INFINITY : found + 1;
}

/** Averages over the ranks of all cases; all zero without cases. */
export function metrics(ranks: readonly number[]): Metrics {
  const share = (count: number) => count / Math.max(1, ranks.length);
  const within = (limit: number) => share(ranks.filter((rank) => rank <= limit).length);
  return {
    hit1: within(1),
    hit5: within(5),
    hit10: within(10),
    mrr: share(ranks.reduce((sum, rank) => sum + 1 / rank, 0)),
  };
}

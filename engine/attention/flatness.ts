/**
 * How far attention can be off when scores are. Source: SpAtten (HPCA 2021), whose rule, to fetch low bits where no key
 * stands out, is replaced by this bound: coarse scores do most harm where two keys compete for the largest share.
 */

/**
 * The largest sum of differences between two distributions over the same keys, where scores of some of the keys differ by
 * at most `delta` and all others are equal; `share` is the most that those keys have in either distribution. Never more
 * than 2 tanh(delta / 2), which is reached where the keys concerned hold everything.
 */
export function shareError(share: number, delta: number): number {
  // The worst case raises keys with the share p by delta and lowers the others by delta: p's odds grow by e^(2 delta).
  const worst = 1 / (1 + Math.exp(delta));
  const p = Math.min(share, worst);
  const odds = Math.exp(2 * delta) * p;
  return 2 * (odds / (1 - p + odds) - p);
}

/** The most a share can be when it is estimated from scores that are off by at most `delta`. */
export function shareAtMost(share: number, delta: number): number {
  const odds = Math.exp(2 * delta) * share;
  return odds / (1 - share + odds);
}

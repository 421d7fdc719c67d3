/** Landmarks that lie as those of a repository do, for tests of indexes. */

export const ROUTE_SIZE = 16;

/** Numbers from 0 to 1 that look random and are the same in every run. */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const unit = (x: Float32Array) => x.map((value) => value / Math.hypot(...x));

/** Files of 1 .. 8 blocks each whose landmarks lie around one of some topics. */
export function sampleFiles(n: number, seed: number): Float32Array[] {
  const random = randomNumbers(seed);
  const vector = (spread: number) => Float32Array.from({ length: ROUTE_SIZE }, () => spread * (random() - 0.5));
  const topics = Array.from({ length: 40 }, () => vector(2));
  return Array.from({ length: n }, () => {
    const topic = topics[Math.floor(random() * topics.length)];
    const nBlocks = 1 + Math.floor(random() * 8);
    const rows = Array.from({ length: nBlocks }, () => [...unit(vector(1).map((x, i) => x + topic[i]))]);
    return Float32Array.from(rows.flat());
  });
}

import assert from "node:assert/strict";
import { test } from "node:test";
import { grayRank, HYPER_SINKS, hashRank, hyperLayout } from "../../../engine/attention/hyper.ts";
import { type Keys, plainAttention, type RunData, randomRun, runHyper } from "../../hyper-run.ts";
import { assertClose } from "../close.ts";

test("neighbours in the order of buckets differ in one bit", () => {
  const bucketAt = new Map(Array.from({ length: 128 }, (_, bucket) => [grayRank(bucket), bucket]));
  assert.equal(bucketAt.size, 128);
  for (let rank = 1; rank < 128; rank++) {
    const differing = (bucketAt.get(rank) ?? 0) ^ (bucketAt.get(rank - 1) ?? 0);
    assert.ok(differing > 0 && (differing & (differing - 1)) === 0, `${rank}`);
  }
});

/** Indices in rising order of the hash, equal ones as they come. */
const sorted = (vectors: readonly Float32Array[]) =>
  [...vectors.keys()].sort((a, b) => hashRank(vectors[a]) - hashRank(vectors[b]) || a - b);

/** What each query attends to, worked out one by one. */
function hyperKeys(plan: { block: number; samples: number; fromTokens: number }, run: RunData) {
  const { heads, nPast, n, queries, keys } = run;
  const { nHeads, nKvHeads, headSize } = heads;
  const nGroup = nHeads / nKvHeads;
  const { middle, samples } = hyperLayout(plan, nPast, n * nGroup);
  const nBlocks = middle / plan.block;
  const byHead = Array.from({ length: nKvHeads }, (_, head) => {
    const row = (x: Float32Array, at: number) => x.subarray(at * headSize, (at + 1) * headSize);
    const order = sorted(Array.from({ length: middle }, (_, i) => row(keys, head * (nPast + n) + HYPER_SINKS + i))).map(
      (i) => HYPER_SINKS + i,
    );
    const asked = Array.from({ length: n * nGroup }, (_, i) =>
      row(queries, Math.floor(i / nGroup) * nHeads + head * nGroup + (i % nGroup)),
    );
    const places = new Map(sorted(asked).map((query, place) => [query, place]));
    return { order, places };
  });
  return (head: number, query: number, token: number): Keys => {
    const { order, places } = byHead[head];
    // Queries are dealt out evenly; a query at a border belongs to the block of its first copy.
    const nRows = Math.ceil((n * nGroup) / nBlocks) * nBlocks;
    const row = Math.ceil(((places.get(query) ?? 0) * nRows) / (n * nGroup));
    const own = Math.floor(row / (nRows / nBlocks));
    const exact = [...Array(HYPER_SINKS).keys()];
    for (let key = HYPER_SINKS + middle; key <= nPast + token; key++) exact.push(key);
    const inBlock = order.slice(own * plan.block, (own + 1) * plan.block);
    const sampled = Array.from(samples, Number).filter((place) => Math.floor(place / plan.block) !== own);
    return [
      ...[...exact, ...inBlock].map((key) => ({ key, bias: 0 })),
      ...sampled.map((place) => ({ key: order[place], bias: Math.log(middle / plan.samples) })),
    ];
  };
}

test("the graph attends to what the method says, key by key", async () => {
  const heads = { nHeads: 4, nKvHeads: 2, headSize: 8 };
  for (const [nPast, n, block, samples] of [
    [64 + 256 + 4 * 32 + 10, 16, 32, 40],
    [64 + 256 + 7 * 16, 9, 16, 64],
    [64 + 256 + 40 * 8 + 3, 3, 8, 20],
  ]) {
    const plan = { fromTokens: 0, block, samples };
    const run = randomRun(heads, nPast, n, nPast);
    assertClose(await runHyper(plan, run), plainAttention(run, hyperKeys(plan, run)), 1e-4, `behind ${nPast}`);
  }
});

test("with one block, or a text no longer than what is exact, it is dense attention", async () => {
  const heads = { nHeads: 2, nKvHeads: 1, headSize: 8 };
  for (const n of [2, 11]) {
    const run = randomRun(heads, 64 + 256 + 150, n, 5 + n);
    const dense = plainAttention(run);
    for (const samples of [1, 30]) {
      assertClose(await runHyper({ fromTokens: 0, block: 100, samples }, run), dense, 1e-5, `${samples} samples`);
    }
  }
});

test("four times the samples halve the error, and the same run gives the same bits", async () => {
  const heads = { nHeads: 1, nKvHeads: 1, headSize: 16 };
  const errors = new Map<number, number>();
  for (let seed = 1; seed <= 6; seed++) {
    const run = randomRun(heads, 64 + 256 + 4096, 64, 50 * seed);
    const dense = plainAttention(run);
    for (const samples of [128, 512, 2048]) {
      const found = await runHyper({ fromTokens: 0, block: 64, samples }, run);
      const error = Math.sqrt(found.reduce((sum, x, i) => sum + (x - dense[i]) ** 2, 0) / dense.length);
      errors.set(samples, (errors.get(samples) ?? 0) + error / 6);
      if (seed === 1) assert.deepEqual(await runHyper({ fromTokens: 0, block: 64, samples }, run), found);
    }
  }
  const [few, some, many] = [128, 512, 2048].map((samples) => errors.get(samples) ?? 0);
  for (const ratio of [few / some, some / many]) assert.ok(ratio > 1.6 && ratio < 2.5, JSON.stringify([...errors]));
});

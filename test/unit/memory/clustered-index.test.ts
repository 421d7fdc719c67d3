import assert from "node:assert/strict";
import { test } from "node:test";
import { ExactIndex } from "../../../engine/memory/block-index.ts";
import { ClusteredIndex } from "../../../engine/memory/clustered-index.ts";

const ROUTE_SIZE = 16;

/** Numbers from 0 to 1 that look random and are the same in every run. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const unit = (x: Float32Array) => x.map((value) => value / Math.hypot(...x));

/** Files of 1 .. 8 blocks each whose landmarks lie around one of some topics, as those of a repository do. */
function files(n: number, seed: number): Float32Array[] {
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

const N_QUERIES = 100;
/** The first ones ask, the others are in the index. */
const ALL = files(2100, 1);
const queries = ALL.slice(0, N_QUERIES).map((rows) => rows.slice(0, ROUTE_SIZE));
const STORED = ALL.slice(N_QUERIES);

test("with all clusters probed the hits are the exact ones, while files come and go and clusters are made", async () => {
  const exact = new ExactIndex(ROUTE_SIZE);
  const clustered = new ClusteredIndex(ROUTE_SIZE, { minBlocks: 300, probedShare: 1 });
  const present: { first: number; rows: Float32Array }[] = [];
  const compare = () => {
    for (const query of queries) {
      const allowed = (block: number) => block % 7 !== 0;
      assert.deepEqual(
        clustered.top(query, 8, allowed).sort((a, b) => a.block - b.block),
        exact.top(query, 8, allowed).sort((a, b) => a.block - b.block),
      );
    }
    assert.equal(clustered.nBlocks, exact.nBlocks);
  };
  const random = randomNumbers(5);
  for (const [i, rows] of STORED.slice(0, 600).entries()) {
    const first = exact.add(rows);
    assert.equal(clustered.add(rows), first);
    present.push({ first, rows });
    if (random() < 0.4) {
      const [gone] = present.splice(Math.floor(random() * present.length), 1);
      exact.remove(gone.first, gone.rows.length / ROUTE_SIZE);
      clustered.remove(gone.first, gone.rows.length / ROUTE_SIZE);
    }
    // Some of the changes come while clusters are being made.
    if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    if (i % 100 === 99) compare();
  }
  await clustered.settled();
  compare();
  for (const { first, rows } of present) clustered.remove(first, rows.length / ROUTE_SIZE);
  assert.deepEqual(clustered.top(queries[0], 8), []);
});

test("a tenth of the landmarks is enough to find nine of ten best blocks", async () => {
  const exact = new ExactIndex(ROUTE_SIZE);
  const clustered = new ClusteredIndex(ROUTE_SIZE, { minBlocks: 1000 });
  for (const rows of STORED) {
    exact.add(rows);
    clustered.add(rows);
  }
  await clustered.settled();
  let found = 0;
  for (const query of queries) {
    const hits = new Set(clustered.top(query, 8).map(({ block }) => block));
    found += exact.top(query, 8).filter(({ block }) => hits.has(block)).length;
  }
  const recall = found / (8 * queries.length);
  assert.ok(recall >= 0.9, `recall ${recall}`);
});

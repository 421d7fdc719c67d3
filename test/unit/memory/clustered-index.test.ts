import assert from "node:assert/strict";
import { test } from "node:test";
import { ExactIndex } from "../../../engine/memory/block-index.ts";
import { ClusteredIndex } from "../../../engine/memory/clustered-index.ts";
import { ROUTE_SIZE, randomNumbers, sampleFiles } from "./landmark-samples.ts";

const N_QUERIES = 100;
/** The first ones ask, the others are in the index. */
const ALL = sampleFiles(2100, 1);
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

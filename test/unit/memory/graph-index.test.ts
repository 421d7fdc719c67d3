import assert from "node:assert/strict";
import { test } from "node:test";
import { ExactIndex } from "../../../engine/memory/block-index.ts";
import { GraphIndex } from "../../../engine/memory/graph-index.ts";
import { ROUTE_SIZE, randomNumbers, sampleFiles } from "./landmark-samples.ts";

const N_QUERIES = 100;
/** The first ones ask, the others are in the index. */
const ALL = sampleFiles(1300, 1);
const queries = ALL.slice(0, N_QUERIES).map((rows) => rows.slice(0, ROUTE_SIZE));
const STORED = ALL.slice(N_QUERIES);

const byBlock = (hits: readonly { block: number; score: number }[]) => [...hits].sort((a, b) => a.block - b.block);

test("with a beam as wide as the memory the hits are the exact ones, while files come and go and graphs are made", async () => {
  const exact = new ExactIndex(ROUTE_SIZE);
  const graph = new GraphIndex(ROUTE_SIZE, { minBlocks: 300, beam: () => 10_000 });
  const present: { first: number; rows: Float32Array }[] = [];
  const compare = () => {
    for (const query of queries.slice(0, 20)) {
      const allowed = (block: number) => block % 7 !== 0;
      assert.deepEqual(byBlock(graph.top(query, 8, allowed)), byBlock(exact.top(query, 8, allowed)));
    }
    assert.equal(graph.nBlocks, exact.nBlocks);
  };
  const random = randomNumbers(5);
  for (const [i, rows] of STORED.slice(0, 400).entries()) {
    const first = exact.add(rows);
    assert.equal(graph.add(rows), first);
    present.push({ first, rows });
    if (random() < 0.4) {
      const [gone] = present.splice(Math.floor(random() * present.length), 1);
      exact.remove(gone.first, gone.rows.length / ROUTE_SIZE);
      graph.remove(gone.first, gone.rows.length / ROUTE_SIZE);
    }
    // Some of the changes come while a graph is being made.
    if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    if (i % 100 === 99) compare();
  }
  await graph.settled();
  compare();
  for (const { first, rows } of present) graph.remove(first, rows.length / ROUTE_SIZE);
  assert.deepEqual(graph.top(queries[0], 8), []);
});

test("every block is reached, equal ones and zeros too", async () => {
  const rows = new Float32Array(500 * ROUTE_SIZE);
  for (const [i, row] of STORED.flatMap((file) => [...file])
    .slice(0, 300 * ROUTE_SIZE)
    .entries())
    rows[i] = row;
  // 300 .. 399 are one landmark, 400 .. 499 have none.
  for (let block = 300; block < 400; block++) rows.set(STORED[0].subarray(0, ROUTE_SIZE), block * ROUTE_SIZE);
  const graph = new GraphIndex(ROUTE_SIZE, { minBlocks: 100, beam: () => 500 });
  graph.add(rows);
  await graph.settled();
  const before = graph.nCompared;
  const found = graph.top(queries[0], 500).map(({ block }) => block);
  assert.deepEqual(
    found.sort((a, b) => a - b),
    Array.from({ length: 500 }, (_, block) => block),
  );
  // By the graph: a scan of all would have come on top.
  assert.equal(graph.nCompared - before, 500);
});

test("a fraction of the landmarks is enough to find nearly all of the best blocks, more with a wider beam", async () => {
  const exact = new ExactIndex(ROUTE_SIZE);
  for (const rows of STORED) exact.add(rows);
  let beam = 0;
  const graph = new GraphIndex(ROUTE_SIZE, { minBlocks: 1000, beam: () => beam });
  // What is asked before the graph is made helps to make it.
  for (const query of queries.slice(N_QUERIES / 2)) graph.top(query, 8);
  for (const rows of STORED) graph.add(rows);
  await graph.settled();
  const asking = queries.slice(0, N_QUERIES / 2);
  const recalls = [16, 64, 200].map((width) => {
    beam = width;
    const before = graph.nCompared;
    let found = 0;
    for (const query of asking) {
      const hits = new Set(graph.top(query, 8).map(({ block }) => block));
      found += exact.top(query, 8).filter(({ block }) => hits.has(block)).length;
    }
    return { recall: found / (8 * asking.length), share: (graph.nCompared - before) / asking.length / graph.nBlocks };
  });
  const [narrow, middle, wide] = recalls;
  assert.ok(narrow.recall <= middle.recall && middle.recall <= wide.recall, JSON.stringify(recalls));
  assert.ok(middle.recall >= 0.95 && middle.share < 0.25, JSON.stringify(recalls));
  assert.ok(wide.recall >= 0.99 && wide.share < 0.5, JSON.stringify(recalls));
});

test("a number that was given to another block leads to that block only", async () => {
  const graph = new GraphIndex(ROUTE_SIZE, { minBlocks: 200, beam: () => 400 });
  const exact = new ExactIndex(ROUTE_SIZE);
  const rows = STORED.slice(0, 120);
  const firsts = rows.map((one) => {
    exact.add(one);
    return graph.add(one);
  });
  await graph.settled();
  for (let i = 0; i < 40; i++) {
    const n = rows[i].length / ROUTE_SIZE;
    for (const index of [graph, exact]) index.remove(firsts[i], n);
    const other = STORED[200 + i].slice(0, ROUTE_SIZE);
    assert.equal(graph.add(other), exact.add(other));
    const [hit] = graph.top(other, 1);
    assert.ok(Math.abs(hit.score - 1) < 1e-5);
    assert.deepEqual(byBlock(graph.top(queries[i], 5)), byBlock(exact.top(queries[i], 5)));
  }
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { ExactIndex } from "../../../engine/memory/block-index.ts";
import { SizedIndex } from "../../../engine/memory/sized-index.ts";
import { ROUTE_SIZE, sampleFiles } from "./landmark-samples.ts";

test("the kind of index follows the size, and numbers and hits stay what they were", () => {
  const files = sampleFiles(300, 3);
  const exact = new ExactIndex(ROUTE_SIZE);
  const sized = new SizedIndex(ROUTE_SIZE, 400);
  const kinds: string[] = [];
  const present: { first: number; n: number }[] = [];
  const compare = () => {
    const query = files[0].slice(0, ROUTE_SIZE);
    assert.deepEqual(sized.top(query, 8), exact.top(query, 8));
    assert.equal(sized.sumExp(query, 5), exact.sumExp(query, 5));
    if (kinds.at(-1) !== sized.kind) kinds.push(sized.kind);
  };
  for (const rows of files) {
    const first = exact.add(rows);
    assert.equal(sized.add(rows), first);
    present.push({ first, n: rows.length / ROUTE_SIZE });
    compare();
  }
  assert.ok(sized.nBlocks > 800);
  for (const { first, n } of present) {
    for (const index of [exact, sized]) index.remove(first, n);
    compare();
  }
  assert.equal(sized.nBlocks, 0);
  assert.deepEqual(kinds, ["graph", "clusters", "graph"]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { RecycledHits } from "../../../engine/memory/recycled-hits.ts";

/** A query of unit length that lies `degrees` from the first axis. */
const at = (degrees: number) =>
  Float32Array.of(Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180));

test("what was found is kept while the query stays close to the one it was found with", () => {
  const recycled = new RecycledHits(([x]) => [{ block: Math.round(100 * x), score: 1 }]);
  const found = [0, 10, 30, 36, 38, 45, 60].map((degrees) => recycled.of(at(degrees))[0].block);
  // 36 degrees are a cosine of 0.81, 38 of 0.79: a new query from there on, which 60 is close to.
  assert.deepEqual(found, [100, 100, 100, 100, 79, 79, 79]);
  assert.equal(recycled.nSearches, 2);
});

test("after some tokens landmarks are asked anew, however close the query is", () => {
  const recycled = new RecycledHits(() => []);
  for (let token = 0; token < 30; token++) recycled.of(at(0));
  assert.equal(recycled.nSearches, 3);
});

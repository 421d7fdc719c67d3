import assert from "node:assert/strict";
import { test } from "node:test";
import { giveBackMemory } from "../../../engine/runtime/spare-memory.ts";

const N = 1_000_000;

test("what nothing refers to any more leaves the heap, and its pages too", () => {
  let objects: object[] | undefined = Array.from({ length: N }, (_, i) => ({ i }));
  const full = process.memoryUsage().heapTotal;
  assert.equal(objects.length, N);
  objects = undefined;
  giveBackMemory();
  // An object takes 16 bytes at least, its place in the array 4.
  assert.ok(full - process.memoryUsage().heapTotal > 20 * N, `of ${full} bytes`);
});

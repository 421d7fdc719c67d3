import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { evenChunks, treeSearch } from "../../../engine/attention/hierarchy.ts";

const scores = fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 1, maxLength: 300 });
const search = (all: readonly number[], k: number) => treeSearch(evenChunks(all.length, k), k, (key) => all[key]);

test("with room for all keys all are found, whatever their number", () => {
  fc.assert(
    fc.property(scores, fc.nat(20), (all, more) => {
      const { keys, scores: found } = search(all, all.length + more);
      const order = [...all.keys()].sort((a, b) => all[b] - all[a] || a - b);
      assert.deepEqual(keys, order);
      assert.deepEqual(
        found,
        order.map((key) => all[key]),
      );
    }),
  );
});

test("no key is found twice, none that is not there, and no more than asked for", () => {
  fc.assert(
    fc.property(scores, fc.integer({ min: 1, max: 40 }), (all, k) => {
      const { keys, nScored } = search(all, k);
      assert.equal(keys.length, Math.min(k, all.length));
      assert.equal(new Set(keys).size, keys.length);
      assert.ok(keys.every((key) => key >= 0 && key < all.length));
      assert.ok(nScored <= 2 * k * Math.ceil(Math.log2(all.length) + 1));
    }),
  );
});

test("where scores are equal inside aligned chunks the result is the exact best", () => {
  const levels = Array.from({ length: 64 }, (_, i) => Math.sin(i * 7.3));
  const all = Array.from({ length: 1024 }, (_, key) => levels[key >> 4]);
  const { scores: found } = search(all, 64);
  const exact = [...all].sort((a, b) => b - a).slice(0, 64);
  assert.deepEqual(found, exact);
});

test("a single peak whose sides fall off is found within one key", () => {
  for (const n of [64, 100, 1000]) {
    for (let peak = 0; peak < n; peak += 7) {
      const { keys } = treeSearch([{ first: 0, end: n }], 1, (key) => -Math.abs(key - peak));
      assert.ok(Math.abs(keys[0] - peak) <= 1, `${keys[0]} for ${peak} of ${n}`);
    }
  }
});

test("2k (log2 n - log2 k) keys are scored", () => {
  const all = Array.from({ length: 4096 }, (_, i) => Math.sin(i));
  for (const k of [64, 256, 512, 1024]) {
    assert.equal(search(all, k).nScored, 2 * k * (Math.log2(4096) - Math.log2(k)));
  }
});

test("chunks of files are searched as they are", () => {
  const chunks = [
    { first: 10, end: 11 },
    { first: 20, end: 25 },
    { first: 40, end: 43 },
  ];
  const { keys } = treeSearch(chunks, 100, (key) => -key);
  assert.deepEqual(keys, [10, 20, 21, 22, 23, 24, 40, 41, 42]);
  assert.deepEqual(
    treeSearch([], 5, () => 0),
    { keys: [], scores: [], nScored: 0 },
  );
});

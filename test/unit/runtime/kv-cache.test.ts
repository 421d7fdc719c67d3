import assert from "node:assert/strict";
import { test } from "node:test";
import { KvCache } from "../../../engine/runtime/kv-cache.ts";

const shape = {
  heads: [
    [0, 1],
    [0, 1],
  ],
  nKvHeads: 2,
  headSize: 2,
  type: "float32" as const,
};

/** Rows [nLayers * nKvHeads, n, headSize]: layer, head and token can be told from each number. */
function rows(nPast: number, n: number): Float32Array {
  const numbers: number[] = [];
  for (let head = 0; head < 4; head++) {
    for (let token = nPast; token < nPast + n; token++) numbers.push(head * 10_000 + token, -head * 10_000 - token);
  }
  return Float32Array.from(numbers);
}

/** The numbers of one head's first tokens. */
function stored(cache: KvCache, layer: number, head: number, n: number): number[] {
  const from = head * cache.capacity * 2;
  return [...cache.keys[layer].subarray(from, from + n * 2)];
}

test("what was appended stays where it belongs while the cache grows", () => {
  const cache = new KvCache(shape);
  let nTokens = 0;
  for (const n of [1, 40, 30, 1, 300, 1]) {
    cache.reserve(nTokens + n);
    cache.append(nTokens, n, rows(nTokens, n), rows(nTokens, n));
    nTokens += n;
  }
  const expected = rows(0, nTokens);
  for (let head = 0; head < 4; head++) {
    const wanted = [...expected.subarray(head * nTokens * 2, (head + 1) * nTokens * 2)];
    assert.deepEqual(stored(cache, head >> 1, head & 1, nTokens), wanted);
  }
  assert.deepEqual(cache.values, cache.keys);
});

test("a cache grows in steps of whole blocks", () => {
  const cache = new KvCache({ ...shape, type: "float16" });
  assert.ok(cache.keys[0] instanceof Uint16Array);
  assert.equal(cache.reserve(cache.capacity), false);
  let nGrowths = 0;
  for (let n = 1; n <= 1000; n++) if (cache.reserve(n)) nGrowths++;
  assert.ok(nGrowths < 20, `${nGrowths} growths`);
  assert.equal(cache.capacity % 64, 0);
});

test("where memory does not suffice a text is refused, and the cache stays as it was", () => {
  const cache = new KvCache(shape);
  cache.append(0, 9, rows(0, 9), rows(0, 9));
  const before = stored(cache, 1, 1, 9);
  assert.throws(() => cache.reserve(2 ** 50), { name: "LongsightError", code: "bad-input" });
  assert.deepEqual(stored(cache, 1, 1, 9), before);
});

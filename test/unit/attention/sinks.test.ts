import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isSink, ReceivedAttention } from "../../../engine/attention/sinks.ts";
import { assertClose } from "../close.ts";

/** A causal map: rows of queries, each over the keys up to its own. */
function causalMap(n: number, bonus: (key: number) => number, seed: number): number[][] {
  let state = seed;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return Array.from({ length: n }, (_, query) => {
    const weights = Array.from({ length: query + 1 }, (_, key) => Math.exp(2 * random() + bonus(key)));
    const sum = weights.reduce((a, b) => a + b);
    return weights.map((weight) => weight / sum);
  });
}

/** The whole map at once: what each key got over the number of the queries that could see it. */
const batchMean = (rows: readonly number[][], key: number) => {
  const seeing = rows.filter((row) => row.length > key);
  return seeing.reduce((sum, row) => sum + row[key], 0) / Math.max(seeing.length, 1);
};

test("running means equal the map's column means, row by row and in any larger steps", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 40 }),
      fc.nat(),
      fc.array(fc.integer({ min: 1, max: 9 })),
      (n, seed, cuts) => {
        const maps = [causalMap(n, () => 0, seed), causalMap(n, (key) => (key === 3 ? 2 : 0), seed + 1)];
        const received = new ReceivedAttention(2);
        for (let query = 0; query < n; query++) {
          received.add(maps.flatMap((rows) => rows[query]), query + 1, 1); // biome-ignore format: one row
        }
        // Several queries that see the same keys, as those of a run see the keys before it.
        const first = Math.floor(n / 2);
        const stepped = new ReceivedAttention(2);
        for (let at = first, i = 0; at < n; i++) {
          const step = Math.min(cuts[i] ?? n, n - at);
          const sums = maps.map((rows) =>
            Array.from({ length: first + 5 }, (_, key) =>
              rows.slice(at, at + step).reduce((sum, row) => sum + (key < first ? row[key] : 0), 0),
            ),
          );
          stepped.add(sums.flat(), first, step);
          at += step;
        }
        for (const [head, rows] of maps.entries()) {
          const means = (of: ReceivedAttention, n: number) => Array.from({ length: n }, (_, key) => of.mean(head, key));
          const expected = (some: number[][], n: number) => Array.from({ length: n }, (_, key) => batchMean(some, key));
          assertClose(means(received, n + 1), [...expected(rows, n), 0], 1e-12, "row by row");
          assertClose(means(stepped, first), expected(rows.slice(first), first), 1e-12, "in steps");
        }
        received.clear();
        assert.equal(received.mean(0, 0), 0);
      },
    ),
  );
});

test("planted sinks are found by their even shares, also where an absolute bar misses them", () => {
  const planted = [0, 17, 40];
  for (const n of [128, 256, 1024]) {
    const rows = causalMap(n, (key) => (planted.includes(key) ? 3 : 0), 7);
    const received = new ReceivedAttention(1);
    for (const [query, row] of rows.entries()) received.add(row, query + 1, 1);
    // Keys that few have seen yet are not judged: their means are those of the first rows.
    const seen = Array.from({ length: n / 2 }, (_, key) => key);
    assert.deepEqual(
      seen.filter((key) => isSink(received.mean(0, key), n, 5)),
      planted,
      `${n} keys`,
    );
    if (n === 1024) assert.ok(planted.every((key) => received.mean(0, key) < 0.1));
  }
});

test("in long texts a share counts as if they had 512 keys", () => {
  assert.ok(isSink(5.1 / 100, 100, 5) && !isSink(4.9 / 100, 100, 5));
  assert.ok(isSink(5.1 / 512, 32_768, 5) && !isSink(4.9 / 512, 32_768, 5));
});

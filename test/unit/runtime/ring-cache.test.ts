import assert from "node:assert/strict";
import { test } from "node:test";
import { streams } from "../../../engine/attention/streaming.ts";
import { RingCache } from "../../../engine/runtime/ring-cache.ts";

const shape = { heads: [[1]], nKvHeads: 2, headSize: 1, type: "float32" as const };

/** Keys of two heads: a token's position, and 1000 more for the head that is kept. */
const rows = (nPast: number, n: number) =>
  Float32Array.from({ length: 2 * n }, (_, i) => nPast + (i % n) + (i < n ? 0 : 1000));

/** The positions that each of the next tokens attends to, from the slots its biases leave and the keys they hold. */
function attended(ring: RingCache, nPast: number, n: number): number[][] {
  const { bias, ownBias } = ring.biases(nPast, n, 2);
  return Array.from({ length: n }, (_, i) => {
    const row = bias.subarray(2 * i * ring.slots, (2 * i + 1) * ring.slots);
    assert.deepEqual(row, bias.subarray((2 * i + 1) * ring.slots, (2 * i + 2) * ring.slots));
    const past = [...row.keys()].filter((slot) => row[slot] === 0).map((slot) => ring.keys[0][slot] - 1000);
    const own = [...Array(n).keys()].filter((j) => ownBias[2 * i * n + j] === 0).map((j) => nPast + j);
    return [...past, ...own].sort((a, b) => a - b);
  });
}

const expected = (position: number, span: { sinks: number; window: number }) =>
  [...Array(position + 1).keys()].filter((other) => streams(position, other, span));

test("whatever the runs, tokens attend to the sinks and the window before them", () => {
  for (const span of [
    { sinks: 3, window: 5 },
    { sinks: 0, window: 1 },
    { sinks: 8, window: 40 },
  ]) {
    const ring = new RingCache(shape, span);
    let nPast = 0;
    for (const n of [1, 4, 2, 30, 1, 700, 1, 9, 400, 3]) {
      assert.ok(ring.holds(nPast));
      attended(ring, nPast, n).forEach((positions, i) => {
        assert.deepEqual(positions, expected(nPast + i, span));
      });
      ring.append(nPast, n, rows(nPast, n), rows(nPast, n));
      nPast += n;
    }
  }
});

test("a text can go back as far as the ring holds, and is told where it cannot", () => {
  const span = { sinks: 3, window: 5 };
  const ring = new RingCache(shape, span);
  ring.append(0, 1000, rows(0, 1000), rows(0, 1000));
  assert.ok(ring.holds(0) && ring.holds(1000) && ring.holds(800));
  assert.ok(!ring.holds(500) && !ring.holds(10) && !ring.holds(1001));
  ring.append(800, 1, rows(800, 1), rows(800, 1));
  assert.deepEqual(attended(ring, 801, 2), [expected(801, span), expected(802, span)]);
});

test("positions that are left out count as there, and nothing is seen at them until they are filled", () => {
  const span = { sinks: 3, window: 6 };
  const ring = new RingCache(shape, span);
  ring.append(0, 10, rows(0, 10), rows(0, 10));
  ring.skip(10, 4);
  assert.ok(ring.holds(14));
  assert.deepEqual(attended(ring, 14, 2), [
    [0, 1, 2, 9, 14],
    [0, 1, 2, 14, 15],
  ]);
  ring.append(14, 2, rows(14, 2), rows(14, 2));
  assert.ok(ring.holds(16));
  // What stood at positions that are left out is gone.
  ring.skip(8, 6);
  assert.deepEqual(attended(ring, 14, 1), [[0, 1, 2, 14]]);
  ring.append(8, 6, rows(8, 6), rows(8, 6));
  assert.deepEqual(attended(ring, 14, 1), [[0, 1, 2, 9, 10, 11, 12, 13, 14]]);
  ring.skip(1000, 5);
  assert.ok(!ring.holds(1005 + 3));
});

test("rows that are copied can be put at other positions", () => {
  const span = { sinks: 3, window: 6 };
  const ring = new RingCache(shape, span);
  ring.append(0, 20, rows(0, 20), rows(0, 20));
  const copied = ring.copy(14, 6);
  assert.deepEqual([...copied.keys], [1014, 1015, 1016, 1017, 1018, 1019]);
  assert.throws(() => ring.copy(15, 6));
  ring.skip(0, 30);
  ring.paste(24, 6, copied);
  assert.ok(ring.holds(30));
  assert.deepEqual(attended(ring, 30, 1), [[15, 16, 17, 18, 19, 30]]);
});

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

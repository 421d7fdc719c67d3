import assert from "node:assert/strict";
import { test } from "node:test";
import { ropeTables } from "../../../engine/attention/rope.ts";
import { fromSlots, toSlots } from "../../../engine/attention/slots.ts";
import type { RopeConfig } from "../../../engine/models/types.ts";
import { assertClose } from "../close.ts";

const SIZE = 16;
const random = (n: number, seed: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(seed + i * 7.13) * 3);
const yarn = {
  kind: "yarn",
  factor: 4,
  originalContextLength: 64,
  betaFast: 32,
  betaSlow: 1,
  attentionFactor: 1.14,
} as const;
const ROPES: RopeConfig[] = [{ theta: 10_000 }, { theta: 10_000, scaling: yarn }];

/** One key at a position, as the tables turn it. */
function rotated(key: Float32Array, rope: RopeConfig, position: number): number[] {
  const { cos, sin } = ropeTables(rope, SIZE, position + 1);
  const half = SIZE / 2;
  return Array.from(key, (value, i) => {
    const at = position * half + (i % half);
    return i < half ? value * cos[at] - key[i + half] * sin[at] : value * cos[at] + key[i - half] * sin[at];
  });
}

for (const rope of ROPES) {
  test(`${rope.scaling?.kind ?? "plain"} rotation to slots is that of the tables, and can be undone`, () => {
    const keys = random(2 * 3 * SIZE, 1);
    const turned = keys.slice();
    toSlots(turned, 3, SIZE, rope, 500);
    for (let row = 0; row < 6; row++) {
      const expected = rotated(keys.subarray(row * SIZE, (row + 1) * SIZE), rope, 500 + (row % 3));
      assertClose(turned.subarray(row * SIZE, (row + 1) * SIZE), expected, 1e-4, `row ${row}`);
    }
    fromSlots(turned, 3, SIZE, rope, 500);
    assertClose(turned, keys, 1e-4, "back");
  });
}

test("the bits of float16 numbers are turned with their precision", () => {
  const keys = Float16Array.from(random(SIZE, 2));
  const turned = keys.slice();
  toSlots(turned, 1, SIZE, ROPES[0], 77);
  assertClose(turned, rotated(Float32Array.from(keys), ROPES[0], 77), 4e-3, "half");
  assert.ok(turned instanceof Float16Array);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { HIGH_ERROR, joinCodes, planeBytes, splitCodes } from "../../../engine/memory/key-planes.ts";

const ALL_CODES = Int8Array.from({ length: 256 }, (_, i) => i - 128);

test("both planes give every code back, also an odd number of them", () => {
  for (const codes of [ALL_CODES, ALL_CODES.subarray(1), ALL_CODES.subarray(5, 8), new Int8Array(0)]) {
    const { high, low } = splitCodes(codes);
    assert.deepEqual([high.length, low.length], [planeBytes(codes.length), planeBytes(codes.length)]);
    assert.deepEqual(joinCodes(high, low, codes.length), codes);
  }
});

test("the high plane alone gives the middle of what a code may be", () => {
  const { high } = splitCodes(ALL_CODES);
  const rough = joinCodes(high, undefined, ALL_CODES.length);
  for (const [i, code] of ALL_CODES.entries()) {
    assert.ok(Math.abs(rough[i] - code) <= HIGH_ERROR, `${code} becomes ${rough[i]}`);
    assert.equal(rough[i] >> 4, code >> 4);
  }
  const bias = rough.reduce((sum, code, i) => sum + code - ALL_CODES[i], 0) / rough.length;
  assert.equal(bias, 0.5);
});

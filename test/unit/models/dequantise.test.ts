import assert from "node:assert/strict";
import { test } from "node:test";
import { dequantise, halfAt } from "../../../engine/models/dequantise.ts";
import { LAYOUTS } from "../../../engine/models/files/tensor-types.ts";
import { assertSame, numbers, referenceBlocks } from "./small-model.ts";

for (const type of ["F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"] as const) {
  test(`${type} blocks give the reference implementation's floats exactly`, () => {
    const { bytes, floats } = referenceBlocks(type);
    const weights = new Float32Array(floats.length);
    dequantise(type, bytes, weights);
    assertSame(weights, floats, type);
    assert.equal(bytes.length / LAYOUTS[type].blockBytes, floats.length / LAYOUTS[type].blockSize);
  });
}

test("F32 is copied, also from and to places that are not aligned", () => {
  const weights = numbers(5);
  const shifted = new Uint8Array(21);
  shifted.set(new Uint8Array(weights.buffer), 1);
  const out = new Float32Array(7);
  dequantise("F32", shifted.subarray(1), out.subarray(2));
  assert.deepEqual(out.subarray(2), weights);
});

test("every half-precision number is the float it stands for", () => {
  const halves: [bits: number, value: number][] = [
    [0x0000, 0],
    [0x8000, -0],
    [0x0001, 2 ** -24],
    [0x03ff, 1023 * 2 ** -24],
    [0x0400, 2 ** -14],
    [0x3c00, 1],
    [0xc000, -2],
    [0x7bff, 65_504],
    [0x7c00, Infinity],
    [0xfc00, -Infinity],
    [0x7e00, Number.NaN],
  ];
  for (const [bits, value] of halves) assert.equal(halfAt(Uint8Array.of(bits & 255, bits >> 8), 0), value);
});

test("bytes that are no whole blocks are a mistake of the caller", () => {
  assert.throws(() => dequantise("Q4_0", new Uint8Array(17), new Float32Array(32)), RangeError);
  assert.throws(() => dequantise("Q8_0", new Uint8Array(34), new Float32Array(31)), RangeError);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type ErrorSums,
  quantise,
  relativeError,
  repackQ4_0,
  repackQ8_0,
  repackRows,
} from "../../../engine/models/quantise.ts";
import { assertSame, expand, numbers, referenceBlocks } from "./small-model.ts";

test("Q4_0 and Q8_0 blocks are repacked without any change of value", () => {
  for (const [type, repack] of [
    ["Q4_0", repackQ4_0],
    ["Q8_0", repackQ8_0],
  ] as const) {
    const { bytes, floats } = referenceBlocks(type);
    const matrix = repack(bytes, 4, 64);
    assert.equal(matrix.bits, type === "Q4_0" ? 4 : 8);
    assertSame(expand(matrix), floats, type);
  }
});

test("rows of int8 with a scale each are repacked without any change of value", () => {
  const levels = Int8Array.from({ length: 3 * 64 }, (_, i) => ((i * 37) % 255) - 127);
  const scales = Float32Array.of(0.5, 0.001, 3);
  const matrix = repackRows(levels, scales);
  assert.deepEqual([matrix.rows, matrix.cols, matrix.bits], [3, 64, 8]);
  assertSame(
    expand(matrix),
    Float32Array.from(levels, (level, at) => level * scales[Math.floor(at / 64)]),
  );
});

/** The largest distance a weight may move: half a step, where a step is the block's largest weight over 2^(bits-1). */
function assertWithinSteps(weights: Float32Array, rows: number, cols: number, bits: 4 | 8): ErrorSums {
  const sums = { squaredError: 0, squaredWeights: 0 };
  const back = expand(quantise(weights, rows, cols, bits, sums));
  for (let row = 0; row < rows; row++) {
    for (let first = 0; first < cols; first += 32) {
      const block = weights.subarray(row * cols + first, row * cols + Math.min(cols, first + 32));
      const peak = block.reduce((most, weight) => Math.max(most, Math.abs(weight)), 0);
      // The level next to the top has no counterpart (a whole step away); refitting the scale moves it a little more.
      const bound = (1.2 * peak) / 2 ** (bits - 1) + 1e-30;
      for (const [i, weight] of block.entries()) {
        const error = Math.abs(weight - back[row * cols + first + i]);
        assert.ok(error <= bound, `${weight} moved by ${error} with ${bits} bits`);
      }
    }
  }
  return sums;
}

/** The sums as they should be: float64 over the matrix that came out. */
function sumsOf(weights: Float32Array, rows: number, cols: number, bits: 4 | 8): ErrorSums {
  const back = expand(quantise(weights, rows, cols, bits));
  let squaredError = 0;
  let squaredWeights = 0;
  weights.forEach((weight, i) => {
    squaredError += (weight - back[i]) ** 2;
    squaredWeights += weight ** 2;
  });
  return { squaredError, squaredWeights };
}

test("rounding stays within a step, and the reported error is the error", () => {
  for (const bits of [4, 8] as const) {
    const [rows, cols] = [40, 96];
    const weights = numbers(rows * cols);
    const reported = relativeError(assertWithinSteps(weights, rows, cols, bits));
    const actual = relativeError(sumsOf(weights, rows, cols, bits));
    assert.ok(Math.abs(reported - actual) < 1e-5 * actual, `${reported} reported, ${actual} measured`);
    // Uniform weights: a step is 1/8 (1/128) of the largest, an error uniform within half a step.
    const expected = 1 / 2 ** (bits - 1) / 2;
    assert.ok(actual > expected / 2 && actual < expected * 1.5, `${bits} bits: ${actual}`);
  }
});

test("any finite weights, any shape: rows of any length are padded with weights that are 0", () => {
  const weight = fc.float({ min: -1e6, max: 1e6, noNaN: true });
  fc.assert(
    fc.property(
      fc
        .integer({ min: 1, max: 3 })
        .chain((rows) =>
          fc
            .integer({ min: 1, max: 70 })
            .chain((cols) =>
              fc.tuple(
                fc.constant(rows),
                fc.constant(cols),
                fc.array(weight, { minLength: rows * cols, maxLength: rows * cols }),
              ),
            ),
        ),
      ([rows, cols, list]) => {
        const weights = Float32Array.from(list);
        for (const bits of [4, 8] as const) {
          assertWithinSteps(weights, rows, cols, bits);
          const { packed, scales } = quantise(weights, rows, cols, bits);
          const nBlocks = rows * Math.ceil(cols / 32);
          assert.deepEqual([packed.length, scales.length], [nBlocks * 4 * bits, nBlocks]);
          const padded = { kind: "quant", bits, rows, cols: (nBlocks / rows) * 32, packed, scales } as const;
          const whole = expand(padded);
          for (let i = 0; i < whole.length; i++) if (i % padded.cols >= cols) assert.equal(Math.abs(whole[i]), 0);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("weights that are zero stay zero, and a weight that is no number is seen in its block's scale", () => {
  const zeros = quantise(new Float32Array(64), 1, 64, 4);
  assert.ok(expand(zeros).every((weight) => weight === 0));
  assert.equal(relativeError({ squaredError: 0, squaredWeights: 0 }), 0);
  for (const bad of [Number.NaN, Infinity, -Infinity]) {
    const weights = numbers(64);
    weights[40] = bad;
    const { scales } = quantise(weights, 1, 64, 8);
    assert.ok(Number.isFinite(scales[0]) && !Number.isFinite(scales[1]), `${bad}`);
  }
});

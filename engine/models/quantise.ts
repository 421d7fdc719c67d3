/** Rounds float32 rows to QuantMatrix, and repacks what is rounded already into it without any further rounding. */
import { halfAt } from "./dequantise.ts";
import type { FloatMatrix, Matrix, QuantMatrix } from "./types.ts";

/** Sums that give the relative root-mean-square error of a conversion. */
export interface ErrorSums {
  squaredError: number;
  squaredWeights: number;
}

/** The sums before the first weight. */
export const noError = (): ErrorSums => ({ squaredError: 0, squaredWeights: 0 });

/** The relative root-mean-square error; 0 for all-zero weights. */
export function relativeError({ squaredError, squaredWeights }: ErrorSums): number {
  return squaredWeights === 0 ? 0 : Math.sqrt(squaredError / squaredWeights);
}

/** Weights in a block, along a row. */
const BLOCK = 32;

/** A matrix of zeros: every weight is stored as the zero point. */
function zeroMatrix(rows: number, cols: number, bits: 4 | 8): QuantMatrix {
  const nBlocks = rows * Math.ceil(cols / BLOCK);
  const packed = new Uint8Array((nBlocks * BLOCK * bits) / 8).fill(bits === 4 ? 0x88 : 0x80);
  return { kind: "quant", bits, rows, cols, packed, scales: new Float32Array(nBlocks) };
}

/**
 * Rounds rows of weights [rows, cols] to blocks of 32 with one scale each, adding the rounding error to `sums`.
 * The weight of the largest size in a block lands on the lowest level, the one that has no counterpart; the scale is
 * then refitted to the chosen levels by least squares.
 */
export function quantise(
  weights: Float32Array,
  rows: number,
  cols: number,
  bits: 4 | 8,
  sums: ErrorSums = noError(),
): QuantMatrix {
  const matrix = zeroMatrix(rows, cols, bits);
  const { packed, scales } = matrix;
  const zeroPoint = 2 ** (bits - 1);
  const blocksPerRow = Math.ceil(cols / BLOCK);
  for (let block = 0; block < scales.length; block++) {
    const row = Math.floor(block / blocksPerRow);
    const first = (block % blocksPerRow) * BLOCK;
    const start = row * cols + first;
    const end = start + Math.min(BLOCK, cols - first);
    const peak = peakOf(weights, start, end);
    if (peak === 0) continue;
    const inverse = -zeroPoint / peak;
    let squaredWeights = 0;
    let squaredLevels = 0;
    let product = 0;
    for (let i = start, at = block * BLOCK; i < end; i++, at++) {
      const weight = weights[i];
      const level = Math.min(Math.floor(weight * inverse + 0.5), zeroPoint - 1);
      squaredWeights += weight * weight;
      squaredLevels += level * level;
      product += weight * level;
      if (bits === 8) packed[at] = level + 128;
      else if ((at & 1) === 0) packed[at >> 1] = (level + 8) | 0x80;
      else packed[at >> 1] = (packed[at >> 1] & 15) | ((level + 8) << 4);
    }
    scales[block] = product / squaredLevels;
    sums.squaredWeights += squaredWeights;
    // The sum of (weight - scale * level)^2 at the fitted scale, written out.
    sums.squaredError += Math.max(0, squaredWeights - (product * product) / squaredLevels);
  }
  return matrix;
}

/** The weight of the largest size, with its sign; not 0 where a weight is NaN. */
function peakOf(weights: Float32Array, start: number, end: number): number {
  let peak = 0;
  for (let i = start; i < end; i++) if (!(Math.abs(weights[i]) <= Math.abs(peak))) peak = weights[i];
  return peak;
}

/** Q4_0 blocks (scale, then weight j and j + 16 in byte j) of whole rows, the same values in QuantMatrix order. */
export function repackQ4_0(bytes: Uint8Array, rows: number, cols: number): QuantMatrix {
  const matrix = zeroMatrix(rows, cols, 4);
  const { packed, scales } = matrix;
  for (let block = 0; block < scales.length; block++) {
    const from = block * 18;
    const to = block * 16;
    scales[block] = halfAt(bytes, from);
    for (let j = 0; j < 8; j++) {
      const even = bytes[from + 2 + 2 * j];
      const odd = bytes[from + 3 + 2 * j];
      packed[to + j] = (even & 15) | ((odd & 15) << 4);
      packed[to + 8 + j] = (even >> 4) | (odd & 0xf0);
    }
  }
  return matrix;
}

/** Q8_0 blocks (scale, then 32 signed bytes) of whole rows, the same values in QuantMatrix order. */
export function repackQ8_0(bytes: Uint8Array, rows: number, cols: number): QuantMatrix {
  const matrix = zeroMatrix(rows, cols, 8);
  const { packed, scales } = matrix;
  for (let block = 0; block < scales.length; block++) {
    const from = block * 34;
    scales[block] = halfAt(bytes, from);
    // Adding 128 to a signed byte is flipping its top bit.
    for (let j = 0; j < 32; j++) packed[block * 32 + j] = bytes[from + 2 + j] ^ 0x80;
  }
  return matrix;
}

/** Rows of int8 [rows, cols] with one scale each, the same values in QuantMatrix order. cols: whole blocks of 32. */
export function repackRows(levels: Int8Array, rowScales: Float32Array): QuantMatrix {
  const rows = rowScales.length;
  const blocksPerRow = levels.length / rows / BLOCK;
  const scales = new Float32Array(rows * blocksPerRow);
  for (const [row, scale] of rowScales.entries()) scales.fill(scale, row * blocksPerRow, (row + 1) * blocksPerRow);
  // Loops: TypedArray.from with a function takes a hundred times as long, which delays the engine's start.
  const packed = new Uint8Array(levels.length);
  for (let at = 0; at < levels.length; at++) packed[at] = levels[at] + 128;
  return { kind: "quant", bits: 8, rows, cols: blocksPerRow * BLOCK, packed, scales };
}

/** The float32 values that a matrix stands for. */
export function expanded(matrix: Matrix): FloatMatrix {
  if (matrix.kind === "f32") return matrix;
  const { bits, rows, cols, packed, scales } = matrix;
  const blocksPerRow = Math.ceil(cols / BLOCK);
  const zeroPoint = 2 ** (bits - 1);
  const data = new Float32Array(rows * cols);
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++) {
      const at = row * blocksPerRow * BLOCK + col;
      const stored = bits === 8 ? packed[at] : (packed[at >> 1] >> (4 * (at & 1))) & 15;
      data[row * cols + col] = (stored - zeroPoint) * scales[row * blocksPerRow + Math.floor(col / BLOCK)];
    }
  }
  return { kind: "f32", rows, cols, data };
}

/** Rounds float32 rows to QuantMatrix, and repacks GGUF's Q4_0 and Q8_0 blocks into it without any rounding. */
import { halfAt } from "./dequantise.ts";
import type { QuantMatrix } from "./types.ts";

/** Weights in a block, along a row. */
const BLOCK = 32;

/** An empty matrix of the given shape; every block is padded with stored zero points. */
function emptyMatrix(rows: number, cols: number, bits: 4 | 8): QuantMatrix {
  const nBlocks = rows * Math.ceil(cols / BLOCK);
  const packed = new Uint8Array((nBlocks * BLOCK * bits) / 8);
  if (cols % BLOCK !== 0) packed.fill(bits === 4 ? 0x88 : 0x80);
  return { kind: "quant", bits, rows, cols, packed, scales: new Float32Array(nBlocks) };
}

/** Rounds rows of weights [rows, cols] to blocks of 32 with one scale each. */
export function quantise(weights: Float32Array, rows: number, cols: number, bits: 4 | 8): QuantMatrix {
  const matrix = emptyMatrix(rows, cols, bits);
  const blocksPerRow = Math.ceil(cols / BLOCK);
  const levels = new Int8Array(BLOCK);
  for (let row = 0; row < rows; row++) {
    for (let b = 0; b < blocksPerRow; b++) {
      const start = row * cols + b * BLOCK;
      const length = Math.min(BLOCK, cols - b * BLOCK);
      const block = row * blocksPerRow + b;
      if (bits === 4) {
        matrix.scales[block] = roundTo4Bits(weights, start, length, levels);
        for (let j = 0; j < length; j += 2) {
          const high = j + 1 < length ? levels[j + 1] : 0;
          matrix.packed[block * 16 + (j >> 1)] = (levels[j] + 8) | ((high + 8) << 4);
        }
      } else {
        matrix.scales[block] = roundTo8Bits(weights, start, length, levels);
        for (let j = 0; j < length; j++) matrix.packed[block * BLOCK + j] = levels[j] + 128;
      }
    }
  }
  return matrix;
}

/**
 * Levels -8 to 7. The weight of the largest size lands on -8, the level that has no counterpart, and the scale is then
 * refitted to the chosen levels by least squares. Returns the scale.
 */
function roundTo4Bits(weights: Float32Array, start: number, length: number, levels: Int8Array): number {
  let peak = 0;
  for (let j = 0; j < length; j++) {
    const weight = weights[start + j];
    if (Math.abs(weight) > Math.abs(peak)) peak = weight;
  }
  const inverse = peak === 0 ? 0 : -8 / peak;
  let product = 0;
  let square = 0;
  for (let j = 0; j < length; j++) {
    const weight = weights[start + j];
    const level = Math.min(Math.floor(weight * inverse + 0.5), 7);
    levels[j] = level;
    product += weight * level;
    square += level * level;
  }
  return square === 0 ? 0 : product / square;
}

/** Levels -127 to 127, the weight of the largest size at either end. Returns the scale. */
function roundTo8Bits(weights: Float32Array, start: number, length: number, levels: Int8Array): number {
  let peak = 0;
  for (let j = 0; j < length; j++) peak = Math.max(peak, Math.abs(weights[start + j]));
  const inverse = peak === 0 ? 0 : 127 / peak;
  for (let j = 0; j < length; j++) levels[j] = Math.floor(weights[start + j] * inverse + 0.5);
  return peak / 127;
}

/** Q4_0 blocks (scale, then weight j and j + 16 in byte j) of whole rows, the same values in QuantMatrix order. */
export function repackQ4_0(bytes: Uint8Array, rows: number, cols: number): QuantMatrix {
  const matrix = emptyMatrix(rows, cols, 4);
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
  const matrix = emptyMatrix(rows, cols, 8);
  const { packed, scales } = matrix;
  for (let block = 0; block < scales.length; block++) {
    const from = block * 34;
    scales[block] = halfAt(bytes, from);
    // Adding 128 to a signed byte is flipping its top bit.
    for (let j = 0; j < 32; j++) packed[block * 32 + j] = bytes[from + 2 + j] ^ 0x80;
  }
  return matrix;
}

/** The float32 weights a matrix stands for, [rows, cols]. */
export function expand(matrix: QuantMatrix): Float32Array {
  const { rows, cols, bits, packed, scales } = matrix;
  const weights = new Float32Array(rows * cols);
  const blocksPerRow = Math.ceil(cols / BLOCK);
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++) {
      const at = row * blocksPerRow * BLOCK + col;
      const stored = bits === 8 ? packed[at] - 128 : ((packed[at >> 1] >> ((at & 1) * 4)) & 15) - 8;
      weights[row * cols + col] = stored * scales[Math.floor(at / BLOCK)];
    }
  }
  return weights;
}

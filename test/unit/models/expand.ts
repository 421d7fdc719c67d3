/** The obvious way back from a matrix to its float32 weights, for tests. */
import type { Matrix } from "../../../engine/models/types.ts";

/** The weights a matrix stands for, [rows, cols]. */
export function expand(matrix: Matrix): Float32Array {
  if (matrix.kind === "f32") return matrix.data;
  const { rows, cols, bits, packed, scales } = matrix;
  const weights = new Float32Array(rows * cols);
  const blocksPerRow = Math.ceil(cols / 32);
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++) {
      const at = row * blocksPerRow * 32 + col;
      const stored = bits === 8 ? packed[at] - 128 : ((packed[at >> 1] >> ((at & 1) * 4)) & 15) - 8;
      weights[row * cols + col] = stored * scales[Math.floor(at / 32)];
    }
  }
  return weights;
}

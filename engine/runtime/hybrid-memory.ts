/** The stored form of memory tokens: int8 rows with one float16 scale each (engine/models/default/FORMAT.md, Memory). */
import type { MemoryTokens } from "./hybrid.ts";

/** x[row][col] = values[row][col] * scales[row]; symmetric, -127 .. 127. */
export interface QuantisedRows {
  /** [rows, cols] */
  readonly values: Int8Array;
  /** [rows] */
  readonly scales: Float16Array;
}

/** Keys and values of consecutive tokens of one file, [nTokens, headSize] each. */
export interface StoredTokens {
  readonly keys: QuantisedRows;
  readonly values: QuantisedRows;
}

/** Quantises x [rows, cols]. */
export function quantiseRows(x: Float32Array, cols: number): QuantisedRows {
  const values = new Int8Array(x.length);
  const scales = new Float16Array(x.length / cols);
  for (let row = 0; row < scales.length; row++) {
    let max = 0;
    for (let at = row * cols; at < (row + 1) * cols; at++) max = Math.max(max, Math.abs(x[at]));
    scales[row] = max / 127;
    // The scale as it was stored: rounding may have made it smaller, so values are clamped.
    const scale = scales[row];
    if (scale === 0) continue;
    for (let at = row * cols; at < (row + 1) * cols; at++) {
      values[at] = Math.max(-127, Math.min(127, Math.round(x[at] / scale)));
    }
  }
  return { values, scales };
}

/** Rows `start` .. `end` - 1, back in float32: [end - start, cols], written to `target`. */
function dequantiseInto(target: Float32Array, { values, scales }: QuantisedRows, start: number, end: number): void {
  const cols = values.length / scales.length;
  for (let row = start; row < end; row++) {
    const scale = scales[row];
    for (let col = 0; col < cols; col++) target[(row - start) * cols + col] = values[row * cols + col] * scale;
  }
}

/** A stretch of stored tokens that a text shall see. */
export interface MemoryBlock {
  readonly tokens: StoredTokens;
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
  /** Index into MEMORY_CLASSES. */
  readonly class: number;
}

/** Blocks, in any order, as the one list of tokens that the decoder takes. */
export function memoryTokens(blocks: readonly MemoryBlock[], headSize: number): MemoryTokens {
  const nTokens = blocks.reduce((sum, block) => sum + block.end - block.start, 0);
  const keys = new Float32Array(nTokens * headSize);
  const values = new Float32Array(nTokens * headSize);
  const classes = new Uint8Array(nTokens);
  let at = 0;
  for (const { tokens, start, end, class: memoryClass } of blocks) {
    dequantiseInto(keys.subarray(at * headSize), tokens.keys, start, end);
    dequantiseInto(values.subarray(at * headSize), tokens.values, start, end);
    classes.fill(memoryClass, at, at + end - start);
    at += end - start;
  }
  return { keys, values, classes };
}

/** Brings a model's matrices into the form the graph's linear layers take: mapped from disk where that is possible. */
import type { FileSlice, Matrix } from "../models/types.ts";
import type { LinearWeight } from "../onnx/linear.ts";

/** A matrix as a graph weight. */
export function linearWeight(matrix: Matrix): LinearWeight {
  const { rows, cols } = matrix;
  if (matrix.kind === "f32") return { kind: "f32", rows, cols, data: matrix.dataAt ?? matrix.data };
  const { bits, packedAt, scalesAt } = matrix;
  return { kind: "quant", bits, rows, cols, packed: packedAt ?? matrix.packed, scales: scalesAt ?? matrix.scales };
}

/**
 * Matrices with the same input as one taller matrix, so that one product does the work of several. Undefined where
 * their formats differ, or where they lie apart on disk (joining them would mean copying them).
 */
export function stacked(matrices: readonly Matrix[]): LinearWeight | undefined {
  const weights = matrices.map(linearWeight);
  const [first] = weights;
  const rows = weights.reduce((sum, weight) => sum + weight.rows, 0);
  if (weights.some((weight) => weight.cols !== first.cols)) return undefined;
  if (first.kind === "f32") {
    const floats = weights.filter((weight) => weight.kind === "f32");
    const data = floats.length === weights.length ? joined(floats.map((weight) => weight.data)) : undefined;
    return data && { ...first, rows, data };
  }
  const quants = weights.filter((weight) => weight.kind === "quant").filter(({ bits }) => bits === first.bits);
  if (quants.length < weights.length) return undefined;
  const packed = joined(quants.map((weight) => weight.packed));
  const scales = joined(quants.map((weight) => weight.scales));
  return packed && scales && { ...first, rows, packed, scales };
}

/** Parts in memory are copied together; parts on disk must follow each other without a gap. */
function joined<T extends Float32Array | Uint8Array>(parts: readonly (T | FileSlice)[]): T | FileSlice | undefined {
  const arrays = parts.filter((part): part is T => ArrayBuffer.isView(part));
  if (arrays.length === parts.length) return concatenated(arrays);
  const slices = parts.filter((part): part is FileSlice => !ArrayBuffer.isView(part));
  const ends = slices.map((slice) => slice.offset + slice.sizeBytes);
  const adjacent = slices.every(
    ({ path, offset }, i) => i === 0 || (path === slices[0].path && offset === ends[i - 1]),
  );
  if (arrays.length > 0 || !adjacent) return undefined;
  return { ...slices[0], sizeBytes: ends[ends.length - 1] - slices[0].offset };
}

/** Typed arrays of one kind, one after another. */
export function concatenated<T extends Float32Array | Uint8Array>(arrays: readonly T[]): T {
  const length = arrays.reduce((sum, array) => sum + array.length, 0);
  const Kind = arrays[0].constructor as new (length: number) => T;
  const whole = new Kind(length);
  let at = 0;
  for (const array of arrays) {
    whole.set(array, at);
    at += array.length;
  }
  return whole;
}

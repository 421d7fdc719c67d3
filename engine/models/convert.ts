/** Turns the tensors of a model file into the matrices and vectors of the Weights contract, some rows at a time. */
import { setImmediate } from "node:timers/promises";
import { dequantise } from "./dequantise.ts";
import { damaged } from "./files/byte-file.ts";
import { type ModelFile, requireTensor } from "./files/model-file.ts";
import { type ErrorSums, noError, quantise, relativeError, repackQ4_0, repackQ8_0 } from "./quantise.ts";
import { requiredWeights, tensorName, type WeightSpec } from "./tensor-names.ts";
import type { DecoderConfig, Matrix, TensorType } from "./types.ts";

/** How converted weights are stored; auto decides per tensor (see targetOf). */
export type WeightSetting = "auto" | "f32" | "int8" | "int4";

/** The form one weight is converted to. */
export type Target = "f32" | 4 | 8;

/** One weight: where it comes from and what it becomes. Vectors have one row and stay float32. */
export interface Conversion {
  readonly name: string;
  readonly tensor: string;
  readonly type: TensorType;
  readonly isVector: boolean;
  readonly rows: number;
  readonly cols: number;
  readonly target: Target;
  /** Set where rows of this head size must be brought from GGUF's interleaved order into rotate-half order. */
  readonly interleavedHeadSize: number | undefined;
}

/**
 * Float models up to this size stay float32 (256 MB), where exact logits matter more than speed; larger ones become
 * int8, whose error is small against bfloat16's own.
 */
const SMALL_MODEL_WEIGHTS = 64e6;

/**
 * A tensor whose int4 rounding would add more relative error than this is stored as int8 instead. Gaussian weights in a
 * 4-bit type with minima are 0.08 away from the original; another 0.08 makes that 0.11, int8's 0.005 leaves it there.
 */
const MAX_INT4_ERROR = 0.05;

/** Rows looked at when choosing between 4 and 8 bits. */
const SAMPLE_ROWS = 64;

/** Rows are read and converted in pieces of about this many weights, so that memory stays small. */
const PIECE_WEIGHTS = 4 << 20;

/** What every weight of the model becomes under a setting. Reads some rows of each tensor whose form is a choice. */
export function planConversion(file: ModelFile, config: DecoderConfig, setting: WeightSetting): Conversion[] {
  const specs = [...requiredWeights(config)];
  const nWeights = specs.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
  return specs.map((spec) => {
    const conversion = describe(file, config, spec);
    if (conversion.isVector) return conversion;
    return { ...conversion, target: targetOf(file, conversion, setting, nWeights <= SMALL_MODEL_WEIGHTS) };
  });
}

function describe(file: ModelFile, config: DecoderConfig, { name, shape }: WeightSpec): Conversion {
  const tensor = tensorName(file.format, name);
  const interleaved = file.format === "gguf" && config.architecture === "llama" && /\.attn_[qk](\.bias)?$/.test(name);
  return {
    name,
    tensor,
    type: requireTensor(file.path, file.tensors, tensor).type,
    isVector: shape.length === 1,
    rows: shape.length === 1 ? 1 : shape[0],
    cols: shape.length === 1 ? shape[0] : shape[1],
    target: "f32",
    interleavedHeadSize: interleaved ? config.headSize : undefined,
  };
}

/**
 * Q4_0 and Q8_0 are repacked exactly wherever the setting leaves room for their bits. Under auto, other quantised
 * types become int4 where a sample of rows shows that to be close enough, and int8 where not.
 */
function targetOf(file: ModelFile, conversion: Conversion, setting: WeightSetting, small: boolean): Target {
  const { type } = conversion;
  if (setting === "f32") return "f32";
  if (setting === "int4" || type === "Q4_0") return 4;
  if (setting === "int8" || type === "Q8_0") return 8;
  if (type === "F32" || type === "F16" || type === "BF16") return small ? "f32" : 8;
  return int4Error(file, { ...conversion, target: 4 }) <= MAX_INT4_ERROR ? 4 : 8;
}

/** The relative error of int4 over evenly spaced rows. */
function int4Error(file: ModelFile, conversion: Conversion): number {
  const sums = noError();
  const step = Math.max(1, Math.floor(conversion.rows / SAMPLE_ROWS));
  for (let row = 0; row < conversion.rows; row += step) {
    const weights = new Float32Array(conversion.cols);
    dequantise(conversion.type, file.read(conversion.tensor, row, 1), weights);
    quantise(weights, 1, conversion.cols, 4, sums);
  }
  return relativeError(sums);
}

/** Whether a conversion keeps the file's exact values, so that it has no rounding error. */
export function isExact({ type, target }: Conversion): boolean {
  return target === "f32" || (target === 4 && type === "Q4_0") || (target === 8 && type === "Q8_0");
}

/** The rounding error of one weight's conversion, over all its rows; reads nothing where the conversion is exact. */
export async function measureRounding(
  file: ModelFile,
  conversion: Conversion,
  signal: AbortSignal | undefined,
): Promise<ErrorSums> {
  const sums = noError();
  if (isExact(conversion)) return sums;
  for (const piece of pieces(conversion)) {
    convertRows(file, conversion, piece, sums);
    await setImmediate();
    signal?.throwIfAborted();
  }
  return sums;
}

/** The row ranges a weight is converted in: whole heads where rows are reordered. */
export function* pieces({ rows, cols, interleavedHeadSize = 1 }: Conversion): Generator<[first: number, n: number]> {
  const step = Math.max(1, Math.floor(PIECE_WEIGHTS / cols / interleavedHeadSize)) * interleavedHeadSize;
  for (let first = 0; first < rows; first += step) yield [first, Math.min(step, rows - first)];
}

/** Converts some rows of a weight, adding the rounding error to `sums`; throws bad-model for weights that are no numbers. */
export function convertRows(
  file: ModelFile,
  conversion: Conversion,
  [first, n]: readonly [first: number, n: number],
  sums: ErrorSums,
): Matrix {
  const { tensor, isVector, interleavedHeadSize } = conversion;
  const bytes = isVector ? file.read(tensor) : file.read(tensor, first, n);
  if (interleavedHeadSize && !isVector) toRotateHalf(bytes, bytes.length / n, interleavedHeadSize);
  const matrix = convertBytes(conversion, bytes, n, sums);
  const finite = (matrix.kind === "f32" ? matrix.data : matrix.scales).every(Number.isFinite);
  if (!finite) throw damaged(file.path, `tensor ${tensor} holds a weight that is not a finite number`);
  if (interleavedHeadSize && matrix.kind === "f32" && isVector) {
    toRotateHalf(new Uint8Array(matrix.data.buffer), 4, interleavedHeadSize);
  }
  return matrix;
}

function convertBytes({ type, cols, target }: Conversion, bytes: Uint8Array, rows: number, sums: ErrorSums): Matrix {
  if (target === 4 && type === "Q4_0") return repackQ4_0(bytes, rows, cols);
  if (target === 8 && type === "Q8_0") return repackQ8_0(bytes, rows, cols);
  const weights = new Float32Array(rows * cols);
  dequantise(type, bytes, weights);
  return target === "f32" ? { kind: "f32", rows, cols, data: weights } : quantise(weights, rows, cols, target, sums);
}

/**
 * GGUF's llama converter stores each head's rows as pairs (0, half, 1, half + 1, ...). Moves them, in place, to the
 * order 0, 1, ... half - 1, half, ...; rows are moved as bytes, so quantised rows keep their exact values.
 */
function toRotateHalf(bytes: Uint8Array, rowBytes: number, headSize: number): void {
  const half = headSize / 2;
  const head = new Uint8Array(headSize * rowBytes);
  for (let start = 0; start < bytes.length; start += head.length) {
    head.set(bytes.subarray(start, start + head.length));
    for (let row = 0; row < headSize; row++) {
      const from = (row % half) * 2 + (row < half ? 0 : 1);
      bytes.set(head.subarray(from * rowBytes, (from + 1) * rowBytes), start + row * rowBytes);
    }
  }
}

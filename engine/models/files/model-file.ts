/** What a GGUF file and a safetensors folder have in common: raw settings, and tensors that are read on demand. */
import { LongsightError } from "../../errors.ts";
import { clipped } from "../messages.ts";
import type { TensorInfo, TensorType } from "../types.ts";
import { damaged } from "./byte-file.ts";
import { byteLengthOf, LAYOUTS } from "./tensor-types.ts";

/** A metadata value; 64-bit integers are bigint only where a number cannot hold them exactly. */
export type MetadataValue = number | bigint | boolean | string | readonly MetadataValue[];

/** GGUF's key/value pairs. Arrays (vocabularies) are decoded anew by every get, so that they cost nothing until used. */
export interface Metadata {
  has(key: string): boolean;
  get(key: string): MetadataValue | undefined;
  keys(): Iterable<string>;
}

/** A model as it lies on disk. Tensor names are the file's own. */
export interface ModelFile {
  readonly format: "gguf" | "safetensors";
  /** The GGUF file, or the safetensors folder. */
  readonly path: string;
  /** Every file the model's content comes from, in a fixed order. */
  readonly files: readonly string[];
  /** Empty for safetensors. */
  readonly metadata: Metadata;
  /** The parsed config.json; undefined for GGUF. */
  readonly config: Readonly<Record<string, unknown>> | undefined;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** The bytes of a tensor, or of `nRows` of its rows from `firstRow` on; throws bad-model where there is none. */
  read(name: string, firstRow?: number, nRows?: number): Uint8Array<ArrayBuffer>;
  close(): void;
}

/** A tensor and the first byte of its data in the file. */
export interface PlacedTensor extends TensorInfo {
  readonly offset: number;
}

/** Tensors of more weights than this are absurd; it also keeps all sizes exact in a number. */
const MAX_WEIGHTS = 2 ** 44;

/** Describes a tensor after checking its shape ([rows, cols] or [n]); whether its bytes exist is the caller's check. */
export function describeTensor(path: string, name: string, type: TensorType, shape: readonly number[]): TensorInfo {
  const nWeights = shape.reduce((product, size) => product * size, 1);
  if (shape.some((size) => !Number.isSafeInteger(size) || size < 1) || nWeights > MAX_WEIGHTS) {
    throw damaged(path, `tensor ${name} has the shape [${shape}]`);
  }
  const cols = shape.at(-1) ?? 1;
  if (cols % LAYOUTS[type].blockSize !== 0) {
    throw damaged(path, `tensor ${name} has rows of ${cols} weights, not whole ${type} blocks`);
  }
  return { name, type, shape, byteLength: byteLengthOf(type, nWeights) };
}

/** Throws bad-model where two tensors share bytes. */
export function checkOverlap(path: string, tensors: Iterable<PlacedTensor>): void {
  const sorted = [...tensors].sort((a, b) => a.offset - b.offset);
  for (let i = 1; i < sorted.length; i++) {
    const previous = sorted[i - 1];
    if (previous.offset + previous.byteLength > sorted[i].offset) {
      throw damaged(path, `tensors ${previous.name} and ${sorted[i].name} overlap`);
    }
  }
}

/** The byte range of some rows of a tensor, relative to its first byte. */
export function rowRange(path: string, tensor: TensorInfo, firstRow = 0, nRows?: number): [start: number, end: number] {
  const rows = tensor.shape.length > 1 ? tensor.shape[0] : 1;
  const count = nRows ?? rows - firstRow;
  if (firstRow < 0 || count < 0 || firstRow + count > rows) {
    throw new RangeError(`rows ${firstRow} to ${firstRow + count} of ${tensor.name} in ${path}`);
  }
  const rowBytes = tensor.byteLength / rows;
  return [firstRow * rowBytes, (firstRow + count) * rowBytes];
}

/** A tensor by name; throws bad-model where it is missing. */
export function requireTensor<T>(path: string, tensors: ReadonlyMap<string, T>, name: string): T {
  const tensor = tensors.get(name);
  if (tensor === undefined) throw damaged(path, `tensor ${name} is missing`);
  return tensor;
}

/** The error for a tensor type outside the list Longsight reads. */
export function unsupportedType(path: string, name: string, type: string): LongsightError {
  return new LongsightError(
    "unsupported",
    `${path} stores tensor ${clipped(name, 100)} as ${type}, which Longsight does not read; choose a file with one of ${Object.keys(LAYOUTS).join(", ")}.`,
  );
}

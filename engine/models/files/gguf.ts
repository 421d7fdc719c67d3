/** Opens GGUF files, versions 2 and 3, little-endian, also split into several. Source: the GGUF specification. */
import { basename, dirname, join } from "node:path";
import { LongsightError } from "../../errors.ts";
import { clipped, shown } from "../messages.ts";
import { ByteCursor, ByteFile, damaged } from "./byte-file.ts";
import { readMetadata } from "./gguf-metadata.ts";
import {
  checkOverlap,
  describeTensor,
  type Metadata,
  type ModelFile,
  type PlacedTensor,
  requireTensor,
  rowRange,
  unsupportedType,
} from "./model-file.ts";
import { GGUF_TYPE_NAMES, isTensorType } from "./tensor-types.ts";

/** "GGUF" read as a little-endian number. */
const MAGIC = 0x46554747;

/** More pairs or tensors than this are absurd; the largest models have some thousands. */
const MAX_ENTRIES = 100_000;

/** The least bytes of a metadata pair, and of a tensor's entry. */
const MIN_PAIR_BYTES = 13;
const MIN_TENSOR_BYTES = 32;

const MAX_SPLITS = 1000;

/**
 * Opens a GGUF file, with its siblings where it is the first of a split model.
 * Throws bad-model for damaged files, unsupported for big-endian files, old versions and unknown tensor types.
 */
export function openGguf(path: string): ModelFile {
  const first = openShard(path);
  const shards = [first];
  try {
    for (const sibling of siblingPaths(path, first.metadata)) shards.push(openShard(sibling));
    return joinShards(path, shards);
  } catch (error) {
    for (const shard of shards) shard.file.close();
    throw error;
  }
}

interface Shard {
  readonly file: ByteFile;
  readonly metadata: Metadata;
  readonly tensors: readonly PlacedTensor[];
}

function openShard(path: string): Shard {
  const file = new ByteFile(path);
  try {
    const cursor = new ByteCursor(file);
    checkVersion(cursor);
    const nTensors = entryCount(cursor, MIN_TENSOR_BYTES, "the tensor table");
    const nPairs = entryCount(cursor, MIN_PAIR_BYTES, "the metadata");
    const metadata = readMetadata(cursor, nPairs);
    return { file, metadata, tensors: readTensorTable(cursor, nTensors, alignmentOf(path, metadata)) };
  } catch (error) {
    file.close();
    throw error;
  }
}

function checkVersion(cursor: ByteCursor): void {
  const { path } = cursor.file;
  if (cursor.remaining < 24) throw damaged(path, "it is too short for a GGUF file");
  if (cursor.u32() !== MAGIC) {
    throw new LongsightError("bad-model", `${path} is not a GGUF file; give a .gguf file or a safetensors folder.`);
  }
  const version = cursor.u32();
  if (version === 2 || version === 3) return;
  // A big-endian file's version has its value in the high bytes.
  const what =
    version !== 0 && (version & 0xffff) === 0 ? "a big-endian GGUF file" : `a GGUF file of version ${version}`;
  throw new LongsightError("unsupported", `${path} is ${what}; choose a little-endian file of version 2 or 3.`);
}

function entryCount(cursor: ByteCursor, itemBytes: number, what: string): number {
  const count = cursor.count(itemBytes, what);
  if (count > MAX_ENTRIES) throw damaged(cursor.file.path, `${what} counts ${count} entries`);
  return count;
}

function alignmentOf(path: string, metadata: Metadata): number {
  const value = metadata.get("general.alignment") ?? 32;
  const valid = typeof value === "number" && value >= 1 && value <= 65_536 && Number.isInteger(Math.log2(value));
  if (!valid) throw damaged(path, `its alignment is ${shown(value)}`);
  return value;
}

function readTensorTable(cursor: ByteCursor, count: number, alignment: number): PlacedTensor[] {
  const { path } = cursor.file;
  const relative: PlacedTensor[] = [];
  const names = new Set<string>();
  for (let i = 0; i < count; i++) {
    const name = cursor.string(true);
    if (names.has(name)) throw damaged(path, `tensor ${clipped(name, 100)} occurs twice`);
    names.add(name);
    relative.push(readTensorEntry(cursor, name));
  }
  const dataStart = Math.ceil(cursor.position / alignment) * alignment;
  const tensors = relative.map((tensor) => ({ ...tensor, offset: dataStart + tensor.offset }));
  for (const tensor of tensors) {
    if (tensor.offset % alignment !== 0)
      throw damaged(path, `tensor ${tensor.name} is not aligned to ${alignment} bytes`);
    if (tensor.offset + tensor.byteLength > cursor.file.sizeBytes) {
      throw damaged(path, `tensor ${tensor.name} ends after the file's end`);
    }
  }
  checkOverlap(path, tensors);
  return tensors;
}

function readTensorEntry(cursor: ByteCursor, name: string): PlacedTensor {
  const { path } = cursor.file;
  const nDims = cursor.u32();
  if (nDims < 1 || nDims > 4) throw damaged(path, `tensor ${name} has ${nDims} dimensions`);
  // GGUF lists the fastest dimension first, the contract lists it last.
  const shape = Array.from({ length: nDims }, () => Number(cursor.u64())).reverse();
  const typeNumber = cursor.u32();
  const offset = cursor.u64();
  const type = GGUF_TYPE_NAMES[typeNumber];
  if (!isTensorType(type)) throw unsupportedType(path, name, type ?? `type number ${typeNumber}`);
  if (offset > BigInt(cursor.file.sizeBytes)) throw damaged(path, `tensor ${name} starts after the file's end`);
  return { ...describeTensor(path, name, type, shape), offset: Number(offset) };
}

/** The other files of a split model, as gguf-split names them: NAME-00001-of-00003.gguf. */
function siblingPaths(path: string, metadata: Metadata): string[] {
  const count = metadata.get("split.count") ?? 1;
  if (count === 1 || count === 0) return [];
  if (typeof count !== "number") throw damaged(path, `its split.count is ${shown(count)}`);
  const match = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/.exec(basename(path));
  const valid = match !== null && Number(match[3]) === count && count <= MAX_SPLITS;
  if (!valid || Number(match[2]) !== 1) {
    throw new LongsightError(
      "bad-input",
      `${path} is one part of a model split into ${count}; give the part whose name ends in -00001-of-${String(count).padStart(5, "0")}.gguf.`,
    );
  }
  const part = (number: number) => `${match[1]}-${String(number).padStart(5, "0")}-of-${match[3]}.gguf`;
  return Array.from({ length: count - 1 }, (_, i) => join(dirname(path), part(i + 2)));
}

function joinShards(path: string, shards: readonly Shard[]): ModelFile {
  const tensors = new Map<string, PlacedTensor & { readonly file: ByteFile }>();
  for (const { file, tensors: own } of shards) {
    for (const tensor of own) {
      if (tensors.has(tensor.name)) throw damaged(file.path, `tensor ${tensor.name} occurs twice`);
      tensors.set(tensor.name, { ...tensor, file });
    }
  }
  return {
    format: "gguf",
    path,
    files: shards.map((shard) => shard.file.path),
    metadata: shards[0].metadata,
    config: undefined,
    tensors,
    read: (name, firstRow, nRows) => {
      const tensor = requireTensor(path, tensors, name);
      const [start, end] = rowRange(path, tensor, firstRow, nRows);
      return tensor.file.read(tensor.offset + start, end - start);
    },
    close: () => {
      for (const shard of shards) shard.file.close();
    },
  };
}

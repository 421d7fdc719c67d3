/**
 * Opens a folder with config.json and either model.safetensors or model.safetensors.index.json with its shards.
 * Source: the safetensors format description; unlike the reference reader, unused bytes between tensors are allowed.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { LongsightError } from "../../errors.ts";
import { shown } from "../messages.ts";
import { ByteCursor, ByteFile, damaged } from "./byte-file.ts";
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
import { isObject, MAX_SMALL_BYTES, parseJsonObject, readJsonFile } from "./small-file.ts";

/** The dtypes read, each named like its TensorType. */
const DTYPES = ["F32", "F16", "BF16", "I8"] as const;

const MAX_TENSORS = 100_000;
const MAX_SHARDS = 1000;

const NO_METADATA: Metadata = { has: () => false, get: () => undefined, keys: () => [] };

type ShardTensor = PlacedTensor & { readonly file: ByteFile };

/**
 * Opens a safetensors folder. Throws not-found where a file is missing, bad-model for damaged files, unsupported for
 * other dtypes.
 */
export function openSafetensors(folder: string): ModelFile {
  const config = readJsonFile(join(folder, "config.json"));
  const files: ByteFile[] = [];
  try {
    const tensors = readFolder(folder, files);
    return {
      format: "safetensors",
      path: folder,
      files: [join(folder, "config.json"), ...files.map((file) => file.path)],
      metadata: NO_METADATA,
      config,
      tensors,
      read: (name, firstRow, nRows) => {
        const tensor = requireTensor(folder, tensors, name);
        const [start, end] = rowRange(folder, tensor, firstRow, nRows);
        return tensor.file.read(tensor.offset + start, end - start);
      },
      close: () => closeAll(files),
    };
  } catch (error) {
    closeAll(files);
    throw error;
  }
}

function closeAll(files: readonly ByteFile[]): void {
  for (const file of files) file.close();
}

/** Opens the folder's shards, adding each to `files`, and returns the tensors the folder declares. */
function readFolder(folder: string, files: ByteFile[]): Map<string, ShardTensor> {
  const single = join(folder, "model.safetensors");
  const index = join(folder, "model.safetensors.index.json");
  if (existsSync(single) || !existsSync(index)) {
    return new Map(openShard(single, files).map((tensor) => [tensor.name, tensor]));
  }
  const shardOf = readIndex(index);
  const tensors = new Map<string, ShardTensor>();
  for (const shard of [...new Set(shardOf.values())].sort()) {
    for (const tensor of openShard(join(folder, shard), files)) {
      if (shardOf.get(tensor.name) === shard) tensors.set(tensor.name, tensor);
    }
  }
  for (const [name, shard] of shardOf) {
    if (!tensors.has(name)) throw damaged(index, `it places tensor ${name} in ${shard}, which does not hold it`);
  }
  return tensors;
}

/** Tensor name -> shard file name, a plain name inside the folder. */
function readIndex(path: string): Map<string, string> {
  const shardOf = new Map<string, string>();
  const { weight_map: weightMap } = readJsonFile(path);
  if (!isObject(weightMap)) throw damaged(path, "it has no weight_map");
  for (const [name, shard] of Object.entries(weightMap)) {
    const plain = typeof shard === "string" && /^[\w.-]+\.safetensors$/.test(shard);
    if (!plain) throw damaged(path, `tensor ${name} lies in ${shown(shard)}, not in a file of the folder`);
    shardOf.set(name, shard);
  }
  const nShards = new Set(shardOf.values()).size;
  if (nShards > MAX_SHARDS) throw damaged(path, `it names ${nShards} files`);
  return shardOf;
}

function openShard(path: string, files: ByteFile[]): ShardTensor[] {
  if (!existsSync(path)) {
    throw new LongsightError(
      "not-found",
      `${path} does not exist; give a .gguf file or a complete safetensors folder.`,
    );
  }
  const file = new ByteFile(path);
  files.push(file);
  const cursor = new ByteCursor(file);
  if (file.sizeBytes < 8) throw damaged(path, "it is too short for a safetensors file");
  const headerBytes = cursor.count(1, "the header");
  if (headerBytes > MAX_SMALL_BYTES) throw damaged(path, `its header has ${headerBytes} bytes`);
  const header = parseJsonObject(path, cursor.bytes(headerBytes), "its header");
  const entries = Object.entries(header).filter(([name]) => name !== "__metadata__");
  if (entries.length > MAX_TENSORS) throw damaged(path, `its header names ${entries.length} tensors`);
  const tensors = entries.map(([name, entry]) => readEntry(file, cursor.position, name, entry));
  checkOverlap(path, tensors);
  return tensors;
}

function readEntry(file: ByteFile, dataStart: number, name: string, entry: unknown): ShardTensor {
  const { path } = file;
  if (!isObject(entry)) throw damaged(path, `tensor ${name} has no description`);
  const { dtype, shape, data_offsets: offsets } = entry;
  const type = DTYPES.find((known) => known === dtype);
  if (type === undefined) throw unsupportedType(path, name, shown(dtype));
  if (!isSizes(shape)) throw damaged(path, `tensor ${name} has no valid shape`);
  if (!isSizes(offsets) || offsets.length !== 2) throw damaged(path, `tensor ${name} has no valid data_offsets`);
  const tensor = describeTensor(path, name, type, shape);
  const [start, end] = offsets;
  if (end - start !== tensor.byteLength) {
    throw damaged(path, `tensor ${name} has ${end - start} bytes, its shape needs ${tensor.byteLength}`);
  }
  if (dataStart + end > file.sizeBytes) throw damaged(path, `tensor ${name} ends after the file's end`);
  return { ...tensor, offset: dataStart + start, file };
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

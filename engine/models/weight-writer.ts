/** Converts a model into a file of weights, piece by piece, so that memory stays far below the model's size. */
import { createHash } from "node:crypto";
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { setImmediate } from "node:timers/promises";
import { crc32 } from "node:zlib";
import { fileError } from "../errors.ts";
import { type Conversion, convertRows, pieces } from "./convert.ts";
import type { ModelFile } from "./files/model-file.ts";
import type { ModelWork } from "./model-work.ts";
import { noError } from "./quantise.ts";
import { removeAbandoned, temporaryName } from "./temporary-file.ts";
import { FORMAT_VERSION, HEADER_BYTES, MAGIC, type Part, place, type StoredWeight } from "./weight-format.ts";

/**
 * Writes the converted weights to `path`: under a temporary name first, renamed once everything is on disk, so that no
 * half-written file is ever found there. Throws disk-full or no-access; an abort passes through.
 */
export async function writeWeights(
  path: string,
  file: ModelFile,
  conversions: readonly Conversion[],
  { onProgress, signal }: ModelWork = {},
): Promise<void> {
  const temporary = temporaryName(path);
  let descriptor: number | undefined;
  try {
    mkdirSync(dirname(path), { recursive: true });
    removeAbandoned(dirname(path));
    descriptor = openSync(temporary, "wx");
    const { offsets, end } = place(conversions);
    const stored: StoredWeight[] = [];
    for (const [i, conversion] of conversions.entries()) {
      const at = offsets.get(conversion.name);
      if (at === undefined) throw new Error(`${conversion.name} has no place`);
      stored.push(await writeWeight(descriptor, file, conversion, at, signal));
      onProgress?.({ phase: "converting its weights", done: i + 1, total: conversions.length });
    }
    writeIndex(descriptor, end, stored);
    fsyncSync(descriptor);
    closeSync(descriptor);
    descriptor = undefined;
    moveInto(temporary, path);
  } catch (error) {
    throw fileError(error, path);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
    rmSync(temporary, { force: true });
  }
}

async function writeWeight(
  descriptor: number,
  file: ModelFile,
  conversion: Conversion,
  at: { readonly data: number; readonly scales: number },
  signal: AbortSignal | undefined,
): Promise<StoredWeight> {
  const { name, isVector, rows, cols, target } = conversion;
  const rounding = noError();
  const data = new PartWriter(descriptor, at.data);
  const scales = new PartWriter(descriptor, at.scales);
  for (const piece of pieces(conversion)) {
    const matrix = convertRows(file, conversion, piece, rounding);
    data.write(matrix.kind === "f32" ? matrix.data : matrix.packed);
    if (matrix.kind === "quant") scales.write(matrix.scales);
    await setImmediate();
    signal?.throwIfAborted();
  }
  return {
    ...{ name, isVector, rows, cols, bits: target === "f32" ? 32 : target, data: data.part() },
    ...(target === "f32" ? {} : { scales: scales.part() }),
    rounding,
  };
}

/** Appends to one part of the file. */
class PartWriter {
  readonly #descriptor: number;
  readonly #offset: number;
  #sizeBytes = 0;
  #crc32 = 0;

  constructor(descriptor: number, offset: number) {
    this.#descriptor = descriptor;
    this.#offset = offset;
  }

  write(values: Uint8Array | Float32Array): void {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    this.#crc32 = crc32(bytes, this.#crc32);
    writeAll(this.#descriptor, bytes, this.#offset + this.#sizeBytes);
    this.#sizeBytes += bytes.length;
  }

  part(): Part {
    return { offset: this.#offset, sizeBytes: this.#sizeBytes, crc32: this.#crc32 };
  }
}

function writeAll(descriptor: number, bytes: Uint8Array, offset: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(descriptor, bytes, done, bytes.length - done, offset + done);
  }
}

function writeIndex(descriptor: number, offset: number, stored: readonly StoredWeight[]): void {
  const index = Buffer.from(JSON.stringify(stored));
  const header = Buffer.alloc(HEADER_BYTES);
  header.write(MAGIC, "latin1");
  header.writeUInt32LE(FORMAT_VERSION, 8);
  header.writeUInt32LE(index.length, 12);
  header.writeBigUInt64LE(BigInt(offset), 16);
  createHash("sha256").update(index).digest().copy(header, 24);
  writeAll(descriptor, index, offset);
  writeAll(descriptor, header, 0);
}

/** Where another process has just put the same weights and holds them open, theirs stay (Windows refuses the rename). */
function moveInto(temporary: string, path: string): void {
  try {
    renameSync(temporary, path);
  } catch (error) {
    if (!existsSync(path)) throw error;
  }
}

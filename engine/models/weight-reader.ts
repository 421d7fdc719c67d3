/** Opens a file of converted weights: everything is verified once, then read or mapped on demand. */
import { createHash } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { crc32 } from "node:zlib";
import { LongsightError } from "../errors.ts";
import { ByteFile } from "./files/byte-file.ts";
import { type ModelWork, megabytes } from "./model-work.ts";
import type { FileSlice, Matrix, Weights } from "./types.ts";
import { FORMAT_VERSION, HEADER_BYTES, MAGIC, type Part, type StoredWeight } from "./weight-format.ts";

const PIECE_BYTES = 1 << 20;

/** Weights that lie in a file of their own. */
export interface StoredWeights extends Weights {
  readonly stored: readonly StoredWeight[];
}

/**
 * Opens the weights at `path`. Throws bad-model where anything in the file is not as it was written: the caller then
 * converts again. An abort passes through. `fingerprint` is passed on as it is.
 */
export async function readWeights(path: string, fingerprint: string, work: ModelWork = {}): Promise<StoredWeights> {
  const file = new ByteFile(path);
  try {
    const stored = readIndex(file);
    await verify(file, stored, work);
    return new MappedWeights(file, fingerprint, stored);
  } catch (error) {
    file.close();
    throw error;
  }
}

function readIndex(file: ByteFile): StoredWeight[] {
  const header = Buffer.from(file.read(0, HEADER_BYTES).buffer);
  if (header.toString("latin1", 0, 8) !== MAGIC || header.readUInt32LE(8) !== FORMAT_VERSION) throw changed(file);
  const index = file.read(Number(header.readBigUInt64LE(16)), header.readUInt32LE(12));
  if (!createHash("sha256").update(index).digest().equals(header.subarray(24, 56))) throw changed(file);
  return JSON.parse(Buffer.from(index).toString("utf8")) as StoredWeight[];
}

/** Checks every part against its sum, through one buffer: memory that was used once is not given back at once. */
async function verify(
  file: ByteFile,
  stored: readonly StoredWeight[],
  { onProgress, signal }: ModelWork,
): Promise<void> {
  const parts = stored.flatMap(({ data, scales }) => (scales ? [data, scales] : [data]));
  const total = megabytes(parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
  const piece = new Uint8Array(PIECE_BYTES);
  let doneBytes = 0;
  for (const part of parts) {
    if ((await sumOf(file, part, piece, signal)) !== part.crc32) throw changed(file);
    doneBytes += part.sizeBytes;
    onProgress?.({ phase: "checking its weights", done: megabytes(doneBytes), total });
  }
}

/** The CRC-32 of a part of the file. */
async function sumOf(
  file: ByteFile,
  { offset, sizeBytes }: Part,
  piece: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<number> {
  file.check(offset, sizeBytes);
  let sum = 0;
  for (let done = 0; done < sizeBytes; done += piece.length) {
    const bytes = piece.subarray(0, Math.min(piece.length, sizeBytes - done));
    file.readInto(bytes, offset + done);
    sum = crc32(bytes, sum);
    await setImmediate();
    signal?.throwIfAborted();
  }
  return sum;
}

const changed = (file: ByteFile) =>
  new LongsightError("bad-model", `${file.path} is not as it was written; delete it and start again.`);

class MappedWeights implements StoredWeights {
  readonly fingerprint: string;
  readonly stored: readonly StoredWeight[];
  readonly #file: ByteFile;
  readonly #byName: ReadonlyMap<string, StoredWeight>;

  constructor(file: ByteFile, fingerprint: string, stored: readonly StoredWeight[]) {
    this.#file = file;
    this.fingerprint = fingerprint;
    this.stored = stored;
    this.#byName = new Map(stored.map((weight) => [weight.name, weight]));
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  matrix(name: string): Matrix {
    const weight = this.#find(name, false);
    const { rows, cols, bits, data, scales } = weight;
    const slice = (part: Part): FileSlice => ({
      path: this.#file.path,
      offset: part.offset,
      sizeBytes: part.sizeBytes,
    });
    const read = (part: Part) => this.#read(part);
    if (bits === 32 || scales === undefined) {
      const floats = lazy(() => new Float32Array(read(data).buffer));
      return {
        kind: "f32",
        ...{ rows, cols },
        get data() {
          return floats();
        },
        dataAt: slice(data),
      };
    }
    const packed = lazy(() => read(data));
    const factors = lazy(() => new Float32Array(read(scales).buffer));
    return {
      kind: "quant",
      ...{ bits, rows, cols },
      get packed() {
        return packed();
      },
      get scales() {
        return factors();
      },
      packedAt: slice(data),
      scalesAt: slice(scales),
    };
  }

  vector(name: string): Float32Array {
    return new Float32Array(this.#read(this.#find(name, true).data).buffer);
  }

  close(): void {
    this.#file.close();
  }

  #find(name: string, isVector: boolean): StoredWeight {
    const weight = this.#byName.get(name);
    if (weight?.isVector === isVector) return weight;
    const what = isVector ? "vector" : "matrix";
    throw new LongsightError("bad-model", `The model has no ${what} ${name}; choose another model.`);
  }

  #read({ offset, sizeBytes }: Part): Uint8Array<ArrayBuffer> {
    return this.#file.read(offset, sizeBytes);
  }
}

/** A value made at its first use; it lives as long as the matrix that uses it. */
function lazy<T>(make: () => T): () => T {
  let value: T | undefined;
  return () => (value ??= make());
}

/**
 * Bounds-checked, lazy access to a file's bytes. Every size that comes out of an untrusted file is checked against the
 * file's own size here before anything is allocated or read.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { fileError, LongsightError } from "../../errors.ts";
import { clipped } from "../messages.ts";

/** A single read call's limit: Node refuses lengths of 2 GiB and more. */
const MAX_READ_BYTES = 1 << 30;

/** How many bytes a cursor reads ahead. */
const WINDOW_BYTES = 1 << 18;

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const tolerantUtf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** The error for a model file whose content contradicts itself. */
export function damaged(path: string, cause: string): LongsightError {
  return new LongsightError(
    "bad-model",
    `${path} is damaged or incomplete (${clipped(cause, 200)}); download it again.`,
  );
}

/** A file opened for positional reads; its size is fixed when it is opened. */
export class ByteFile {
  readonly path: string;
  readonly sizeBytes: number;
  #descriptor: number | undefined;

  /** Opens a regular file; throws not-found, no-access or bad-input. */
  constructor(path: string) {
    this.path = path;
    try {
      // Without O_NONBLOCK, opening a named pipe waits for somebody to write. Windows knows neither.
      this.#descriptor = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    } catch (error) {
      throw fileError(error, path);
    }
    const stat = fstatSync(this.#descriptor);
    this.sizeBytes = stat.size;
    if (stat.isFile()) return;
    this.close();
    throw new LongsightError("bad-input", `${path} is not a regular file; give a model file.`);
  }

  /** Reads `length` bytes at `offset` into a buffer of its own; throws bad-model outside the file. */
  read(offset: number, length: number): Uint8Array<ArrayBuffer> {
    this.check(offset, length);
    const bytes = new Uint8Array(length);
    this.readInto(bytes, offset);
    return bytes;
  }

  /** Fills `target` with the bytes at `offset`; throws bad-model outside the file. */
  readInto(target: Uint8Array, offset: number): void {
    this.check(offset, target.length);
    if (this.#descriptor === undefined) throw new Error(`${this.path} is closed`);
    for (let done = 0; done < target.length; ) {
      const wanted = Math.min(target.length - done, MAX_READ_BYTES);
      let count: number;
      try {
        count = readSync(this.#descriptor, target, done, wanted, offset + done);
      } catch (error) {
        throw fileError(error, this.path);
      }
      if (count === 0) throw damaged(this.path, "it became shorter while it was read");
      done += count;
    }
  }

  /** Throws bad-model unless the byte range lies inside the file. */
  check(offset: number, length: number): void {
    const inside = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
    if (!inside || offset + length > this.sizeBytes) {
      throw damaged(this.path, `bytes ${offset} to ${offset + length} lie outside its ${this.sizeBytes} bytes`);
    }
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }
}

/** Reads little-endian values one after another, through a small read-ahead window. */
export class ByteCursor {
  readonly file: ByteFile;
  #position: number;
  #window = new DataView(new ArrayBuffer(0));
  #windowStart = 0;

  constructor(file: ByteFile, position = 0) {
    this.file = file;
    this.#position = position;
  }

  get position(): number {
    return this.#position;
  }

  get remaining(): number {
    return this.file.sizeBytes - this.#position;
  }

  skip(length: number): void {
    this.file.check(this.#position, length);
    this.#position += length;
  }

  u8 = (): number => this.#take(1, (view, at) => view.getUint8(at));
  i8 = (): number => this.#take(1, (view, at) => view.getInt8(at));
  u16 = (): number => this.#take(2, (view, at) => view.getUint16(at, true));
  i16 = (): number => this.#take(2, (view, at) => view.getInt16(at, true));
  u32 = (): number => this.#take(4, (view, at) => view.getUint32(at, true));
  i32 = (): number => this.#take(4, (view, at) => view.getInt32(at, true));
  f32 = (): number => this.#take(4, (view, at) => view.getFloat32(at, true));
  f64 = (): number => this.#take(8, (view, at) => view.getFloat64(at, true));
  u64 = (): bigint => this.#take(8, (view, at) => view.getBigUint64(at, true));
  i64 = (): bigint => this.#take(8, (view, at) => view.getBigInt64(at, true));

  /** A 64-bit count of things of at least `itemBytes` bytes each, which must fit into the rest of the file. */
  count(itemBytes: number, what: string): number {
    const count = this.u64();
    if (count * BigInt(itemBytes) > BigInt(this.remaining)) {
      throw damaged(this.file.path, `${what} counts ${count} in ${this.remaining} remaining bytes`);
    }
    return Number(count);
  }

  /** A string with a 64-bit length. Malformed UTF-8 becomes U+FFFD, or throws bad-model when `strict`. */
  string(strict = false): string {
    const bytes = this.bytes(this.count(1, "a string"));
    if (!strict) return tolerantUtf8.decode(bytes);
    try {
      return strictUtf8.decode(bytes);
    } catch {
      throw damaged(this.file.path, "a name is not valid UTF-8");
    }
  }

  bytes(length: number): Uint8Array {
    if (length > WINDOW_BYTES) {
      const bytes = this.file.read(this.#position, length);
      this.#position += length;
      return bytes;
    }
    return this.#take(length, (view, at) => new Uint8Array(view.buffer, at, length));
  }

  #take<T>(length: number, get: (view: DataView<ArrayBuffer>, at: number) => T): T {
    const start = this.#position - this.#windowStart;
    if (start < 0 || start + length > this.#window.byteLength) this.#fill(length);
    const value = get(this.#window, this.#position - this.#windowStart);
    this.#position += length;
    return value;
  }

  #fill(length: number): void {
    this.file.check(this.#position, length);
    const bytes = this.file.read(this.#position, Math.min(WINDOW_BYTES, this.remaining));
    this.#window = new DataView(bytes.buffer);
    this.#windowStart = this.#position;
  }
}

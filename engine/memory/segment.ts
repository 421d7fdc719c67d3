/**
 * One file's encoded blocks on disk. A segment is written once, under a temporary name, and never changed.
 *
 *   head     magic, version, headSize, routeSize, blockSize, nTokens, head's size; id [32]
 *            per block: first and last line, CRC-32 of its payload; landmark [routeSize] in float16
 *            CRC-32 of the head so far
 *   payload  per block of n tokens: keys int8 [n, headSize], values int8 [n, headSize], float16 scales of the keys [n]
 *            and of the values [n] (engine/models/default/FORMAT.md, Memory)
 *
 * Numbers are little-endian. The head is read when a memory is opened and its checksum covers all that stays in RAM; a
 * block is read, and its own checksum compared, when a text attends to it.
 */
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { crc32 } from "node:zlib";
import { fileError } from "../errors.ts";
import type { StoredTokens } from "../runtime/hybrid-memory.ts";

const MAGIC = Buffer.from("LSMEMSEG");
const VERSION = 1;
const FIXED_BYTES = 64;
const ID_AT = 32;

/** Sizes that every segment of a model shares. */
export interface SegmentShape {
  readonly headSize: number;
  readonly routeSize: number;
  /** Tokens of a block; a segment's last one may have less. */
  readonly blockSize: number;
}

/** First and last line of a block, from 1. */
export interface LineRange {
  readonly startLine: number;
  readonly endLine: number;
}

/** A segment is not what was written: `message` says how, for the log. */
export class SegmentDamage extends Error {}

const nBlocksOf = (nTokens: number, { blockSize }: SegmentShape) => Math.ceil(nTokens / blockSize);
const tokenBytes = ({ headSize }: SegmentShape) => 2 * headSize + 4;
const headBytes = (nTokens: number, shape: SegmentShape) =>
  FIXED_BYTES + nBlocksOf(nTokens, shape) * (12 + 2 * shape.routeSize) + 4;

/** A segment's size on disk. */
export function segmentBytes(nTokens: number, shape: SegmentShape): number {
  return headBytes(nTokens, shape) + nTokens * tokenBytes(shape);
}

/** Writes a segment block by block, so that a long file needs no more memory than a short one. */
export class SegmentWriter {
  readonly #path: string;
  readonly #tempPath: string;
  readonly #fd: number;
  readonly #shape: SegmentShape;
  readonly #nTokens: number;
  readonly #head: Buffer;
  #nBlocks = 0;
  #at: number;

  /** Starts the segment `id` (32 bytes) of `nTokens`. Errors: disk-full, no-access. */
  static create(path: string, tempPath: string, id: Uint8Array, nTokens: number, shape: SegmentShape): SegmentWriter {
    try {
      mkdirSync(dirname(tempPath), { recursive: true });
      return new SegmentWriter(path, tempPath, openSync(tempPath, "wx"), id, nTokens, shape);
    } catch (error) {
      throw fileError(error, path);
    }
  }

  private constructor(
    path: string,
    tempPath: string,
    fd: number,
    id: Uint8Array,
    nTokens: number,
    shape: SegmentShape,
  ) {
    this.#path = path;
    this.#tempPath = tempPath;
    this.#fd = fd;
    this.#shape = shape;
    this.#nTokens = nTokens;
    this.#at = headBytes(nTokens, shape);
    this.#head = Buffer.alloc(this.#at);
    MAGIC.copy(this.#head);
    const sizes = [VERSION, shape.headSize, shape.routeSize, shape.blockSize, nTokens, this.#at];
    for (const [i, size] of sizes.entries()) this.#head.writeUInt32LE(size, MAGIC.length + 4 * i);
    this.#head.set(id, ID_AT);
  }

  /** Appends the tokens of one block with its landmark [routeSize]. Errors: disk-full. */
  append({ keys, values }: StoredTokens, landmark: Float32Array, { startLine, endLine }: LineRange): void {
    const payload = Buffer.concat([keys.values, values.values, keys.scales, values.scales].map(bytesOf));
    this.#write(payload, this.#at);
    this.#at += payload.length;
    const block = this.#nBlocks++;
    const tables = nBlocksOf(this.#nTokens, this.#shape);
    for (const [i, value] of [startLine, endLine, crc32(payload)].entries()) {
      this.#head.writeUInt32LE(value, FIXED_BYTES + 12 * block + 4 * i);
    }
    this.#head.set(bytesOf(new Float16Array(landmark)), FIXED_BYTES + 12 * tables + 2 * this.#shape.routeSize * block);
  }

  /** Makes the segment visible, whole. Errors: disk-full, no-access. */
  commit(): void {
    if (this.#at !== segmentBytes(this.#nTokens, this.#shape)) throw new Error("a segment's blocks are missing");
    const end = this.#head.length - 4;
    this.#head.writeUInt32LE(crc32(this.#head.subarray(0, end)), end);
    this.#write(this.#head, 0);
    try {
      fsyncSync(this.#fd);
      closeSync(this.#fd);
      mkdirSync(dirname(this.#path), { recursive: true });
      renameSync(this.#tempPath, this.#path);
    } catch (error) {
      // Where open files cannot be replaced another process has written the same segment and reads it now.
      if (!existsSync(this.#path)) throw fileError(error, this.#path);
      this.abort();
    }
  }

  /** Gives up: nothing of the segment stays. */
  abort(): void {
    try {
      closeSync(this.#fd);
    } catch {
      // Closed already: the failure came later.
    }
    rmSync(this.#tempPath, { force: true });
  }

  #write(bytes: Buffer, position: number): void {
    try {
      for (let done = 0; done < bytes.length; ) {
        done += writeSync(this.#fd, bytes, done, bytes.length - done, position + done);
      }
    } catch (error) {
      throw fileError(error, this.#path);
    }
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView) => Buffer.from(buffer, byteOffset, byteLength);

/** What stays in RAM of a segment: a few bytes a block beside its landmarks, which belong to the index. */
export class Segment {
  readonly path: string;
  readonly nTokens: number;
  /** When it was last used, in ms. */
  readonly usedMs: number;
  readonly #shape: SegmentShape;
  /** [nBlocks, 3]: first line, last line, checksum. */
  readonly #tables: Uint32Array;

  private constructor(path: string, nTokens: number, usedMs: number, shape: SegmentShape, tables: Uint32Array) {
    this.path = path;
    this.nTokens = nTokens;
    this.usedMs = usedMs;
    this.#shape = shape;
    this.#tables = tables;
  }

  /**
   * Reads the head of the segment `id`; its landmarks [nBlocks, routeSize] are the caller's. Undefined where there is
   * none. Throws SegmentDamage, or the file system's own error.
   */
  static open(
    path: string,
    id: Uint8Array,
    shape: SegmentShape,
  ): { segment: Segment; landmarks: Float32Array } | undefined {
    let fd: number;
    try {
      fd = openSync(path, "r");
    } catch (error) {
      if ((error as { code?: unknown }).code === "ENOENT") return undefined;
      throw error;
    }
    try {
      const { size, mtimeMs } = fstatSync(fd);
      const fixed = readAt(fd, 0, FIXED_BYTES);
      const nTokens = checkFixed(fixed, id, shape, size);
      const head = readAt(fd, 0, headBytes(nTokens, shape));
      const end = head.length - 4;
      if (head.readUInt32LE(end) !== crc32(head.subarray(0, end))) throw new SegmentDamage("its head has changed");
      const nBlocks = nBlocksOf(nTokens, shape);
      const tables = new Uint32Array(copyOf(head, FIXED_BYTES, 12 * nBlocks));
      const landmarks = new Float16Array(copyOf(head, FIXED_BYTES + 12 * nBlocks, 2 * nBlocks * shape.routeSize));
      return { segment: new Segment(path, nTokens, mtimeMs, shape, tables), landmarks: new Float32Array(landmarks) };
    } finally {
      closeSync(fd);
    }
  }

  /** Reads all of a segment. Throws SegmentDamage where a bit of it is wrong. */
  static verify(path: string, id: Uint8Array, shape: SegmentShape): void {
    const opened = Segment.open(path, id, shape);
    if (!opened) throw new SegmentDamage("it is gone");
    for (let block = 0; block < opened.segment.nBlocks; block++) opened.segment.read(block);
  }

  get nBlocks(): number {
    return this.#tables.length / 3;
  }

  /** On disk. */
  get sizeBytes(): number {
    return segmentBytes(this.nTokens, this.#shape);
  }

  lines(block: number): LineRange {
    return { startLine: this.#tables[3 * block], endLine: this.#tables[3 * block + 1] };
  }

  /** The payload's size of a block. */
  blockBytes(block: number): number {
    return this.#tokensOf(block) * tokenBytes(this.#shape);
  }

  /** The tokens of a block. Throws SegmentDamage where they are not what was written. */
  read(block: number): StoredTokens {
    const { headSize, blockSize } = this.#shape;
    const n = this.#tokensOf(block);
    const position = headBytes(this.nTokens, this.#shape) + block * blockSize * tokenBytes(this.#shape);
    let payload: Buffer;
    let fd: number | undefined;
    try {
      fd = openSync(this.path, "r");
      payload = readAt(fd, position, this.blockBytes(block));
    } catch (error) {
      if (error instanceof SegmentDamage) throw error;
      throw new SegmentDamage((error as { code?: unknown }).code === "ENOENT" ? "it is gone" : String(error));
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
    if (crc32(payload) !== this.#tables[3 * block + 2]) throw new SegmentDamage(`its block ${block} has changed`);
    const buffer = copyOf(payload, 0, payload.length);
    const rows = (at: number) => new Int8Array(buffer, at * n * headSize, n * headSize);
    const scales = (at: number) => new Float16Array(buffer, 2 * n * headSize + at * 2 * n, n);
    return {
      keys: { values: rows(0), scales: scales(0) },
      values: { values: rows(1), scales: scales(1) },
    };
  }

  #tokensOf(block: number): number {
    return Math.min(this.#shape.blockSize, this.nTokens - block * this.#shape.blockSize);
  }
}

/** Checks all fields before they are used as sizes; the number of tokens. */
function checkFixed(fixed: Buffer, id: Uint8Array, shape: SegmentShape, size: number): number {
  const field = (i: number) => fixed.readUInt32LE(MAGIC.length + 4 * i);
  if (!fixed.subarray(0, MAGIC.length).equals(MAGIC)) throw new SegmentDamage("it is no segment");
  if (field(0) !== VERSION) throw new SegmentDamage(`it is of version ${field(0)}`);
  if (field(1) !== shape.headSize || field(2) !== shape.routeSize || field(3) !== shape.blockSize) {
    throw new SegmentDamage("it is another model's");
  }
  if (!fixed.subarray(ID_AT, FIXED_BYTES).equals(id)) throw new SegmentDamage("it is another file's");
  const nTokens = field(4);
  if (field(5) !== headBytes(nTokens, shape)) throw new SegmentDamage("its head has changed");
  const expected = segmentBytes(nTokens, shape);
  if (size !== expected) throw new SegmentDamage(`it has ${size} bytes instead of ${expected}`);
  return nTokens;
}

function readAt(fd: number, position: number, nBytes: number): Buffer {
  const bytes = Buffer.alloc(nBytes);
  for (let done = 0; done < nBytes; ) {
    const n = readSync(fd, bytes, done, nBytes - done, position + done);
    if (n === 0) throw new SegmentDamage("it is too short");
    done += n;
  }
  return bytes;
}

/** Typed arrays want their own aligned memory. */
function copyOf(bytes: Buffer, start: number, length: number): ArrayBuffer {
  const copy = new Uint8Array(length);
  copy.set(bytes.subarray(start, start + length));
  return copy.buffer;
}

/**
 * One file's encoded blocks on disk. A segment is written once, under a temporary name, and never changed.
 *
 *   head     magic, version, headSize, routeSize, blockSize, nTokens, head's size; id [32]
 *            per block: first and last line, CRC-32 of each of its parts; landmark [routeSize] in float16
 *            per token: its id
 *            CRC-32 of the head so far
 *   high     per block of n rows: the high plane of its keys' codes [n, headSize] (key-planes.ts), their float16
 *            scales [n]; a token of the default model has one row, of other models one for each head: [heads, tokens]
 *   low      per block: the low plane
 *   values   per block: int8 [n, headSize], float16 scales [n] (engine/models/default/FORMAT.md, Memory)
 *
 * Numbers are little-endian. The head is read when a memory is opened and its checksum covers all that stays in RAM; a
 * part of a block is read, and its own checksum compared, when a text needs it: many blocks' high planes are compared, few
 * blocks' values are used.
 */
import {
  closeSync,
  existsSync,
  fstatSync,
  fsync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { crc32 } from "node:zlib";
import { fileError } from "../errors.ts";
import type { QuantisedRows, StoredTokens } from "../runtime/hybrid-memory.ts";
import { joinCodes, planeBytes, splitCodes } from "./key-planes.ts";

const MAGIC = Buffer.from("LSMEMSEG");
const VERSION = 3;
const FIXED_BYTES = 64;
const ID_AT = 32;

/** Sizes that every segment of a model shares. */
export interface SegmentShape {
  readonly headSize: number;
  /** Rows of keys, and of values, that each token has: one for every head that is stored. One by default. */
  readonly rowsPerToken?: number;
  readonly routeSize: number;
  /** Tokens of a block; a segment's last one may have less. */
  readonly blockSize: number;
}

/** First and last line of a block, from 1. */
export interface LineRange {
  readonly startLine: number;
  readonly endLine: number;
}

/** What can be read of a block by itself, in the order of the file. */
const PARTS = ["high", "low", "values"] as const;
export type BlockPart = (typeof PARTS)[number];

/** 32-bit numbers of a block in the head: two lines, and one checksum for each part. */
const TABLE_WIDTH = 2 + PARTS.length;

/** A segment is not what was written: `message` says how, for the log. */
export class SegmentDamage extends Error {}

/** It is whole, and was written by an older release. */
export class SegmentOutdated extends SegmentDamage {}

const nBlocksOf = (nTokens: number, { blockSize }: SegmentShape) => Math.ceil(nTokens / blockSize);
const headBytes = (nTokens: number, shape: SegmentShape) =>
  FIXED_BYTES + nBlocksOf(nTokens, shape) * (4 * TABLE_WIDTH + 2 * shape.routeSize) + 4 * nTokens + 4;

/** The size of a part of a block of `n` tokens. */
function partBytes(part: BlockPart, n: number, { headSize, rowsPerToken = 1 }: SegmentShape): number {
  const nRows = n * rowsPerToken;
  if (part === "values") return nRows * headSize + 2 * nRows;
  return planeBytes(nRows * headSize) + (part === "high" ? 2 * nRows : 0);
}

/** Where a block's part begins in a segment of `nTokens`. */
function partAt(part: BlockPart, block: number, nTokens: number, shape: SegmentShape): number {
  const whole = Math.floor(nTokens / shape.blockSize);
  const rest = nTokens % shape.blockSize;
  let at = headBytes(nTokens, shape) + block * partBytes(part, shape.blockSize, shape);
  for (const before of PARTS.slice(0, PARTS.indexOf(part))) {
    at += whole * partBytes(before, shape.blockSize, shape) + partBytes(before, rest, shape);
  }
  return at;
}

/** A segment's size on disk. */
export function segmentBytes(nTokens: number, shape: SegmentShape): number {
  const nBlocks = nBlocksOf(nTokens, shape);
  if (nBlocks === 0) return headBytes(nTokens, shape);
  const last = nTokens - (nBlocks - 1) * shape.blockSize;
  return partAt("values", nBlocks - 1, nTokens, shape) + partBytes("values", last, shape);
}

export interface WrittenBlock extends LineRange {
  readonly tokens: StoredTokens;
  /** Of the tokens, one each. */
  readonly ids: readonly number[];
  /** [routeSize] */
  readonly landmark: Float32Array;
}

/** What is read when a segment is opened. All but the segment is the caller's. */
export interface OpenedSegment {
  readonly segment: Segment;
  /** [nBlocks, routeSize] */
  readonly landmarks: Float32Array;
  /** [nTokens] */
  readonly ids: Uint32Array;
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
    this.#head = Buffer.alloc(headBytes(nTokens, shape));
    MAGIC.copy(this.#head);
    const sizes = [VERSION, shape.headSize, shape.routeSize, shape.blockSize, nTokens, this.#head.length];
    for (const [i, size] of sizes.entries()) this.#head.writeUInt32LE(size, MAGIC.length + 4 * i);
    this.#head.set(id, ID_AT);
  }

  /** Appends the next block. Errors: disk-full. */
  append({ tokens: { keys, values }, ids, landmark, startLine, endLine }: WrittenBlock): void {
    const block = this.#nBlocks++;
    const { high, low } = splitCodes(keys.values);
    const parts = { high: [high, keys.scales], low: [low], values: [values.values, values.scales] };
    const checksums = PARTS.map((part) => {
      const bytes = Buffer.concat(parts[part].map(bytesOf));
      this.#write(bytes, partAt(part, block, this.#nTokens, this.#shape));
      return crc32(bytes);
    });
    for (const [i, value] of [startLine, endLine, ...checksums].entries()) {
      this.#head.writeUInt32LE(value, FIXED_BYTES + 4 * (TABLE_WIDTH * block + i));
    }
    const landmarks = FIXED_BYTES + 4 * TABLE_WIDTH * nBlocksOf(this.#nTokens, this.#shape);
    const landmarkBytes = 2 * this.#shape.routeSize;
    this.#head.set(bytesOf(new Float16Array(landmark)), landmarks + landmarkBytes * block);
    const firstId = landmarks + landmarkBytes * nBlocksOf(this.#nTokens, this.#shape);
    this.#head.set(bytesOf(Uint32Array.from(ids)), firstId + 4 * this.#shape.blockSize * block);
  }

  /** Makes the segment visible, whole; waiting for the disk holds up no other work. Errors: disk-full, no-access. */
  async commit(): Promise<void> {
    if (this.#nBlocks !== nBlocksOf(this.#nTokens, this.#shape)) throw new Error("a segment's blocks are missing");
    const end = this.#head.length - 4;
    this.#head.writeUInt32LE(crc32(this.#head.subarray(0, end)), end);
    this.#write(this.#head, 0);
    try {
      await promisify(fsync)(this.#fd);
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
  /** [nBlocks, TABLE_WIDTH]: first line, last line, checksums. */
  readonly #tables: Uint32Array;

  private constructor(path: string, nTokens: number, usedMs: number, shape: SegmentShape, tables: Uint32Array) {
    this.path = path;
    this.nTokens = nTokens;
    this.usedMs = usedMs;
    this.#shape = shape;
    this.#tables = tables;
  }

  /** Reads the head of the segment `id`, undefined where there is none. Throws SegmentDamage, or the file system's own error. */
  static open(path: string, id: Uint8Array, shape: SegmentShape): OpenedSegment | undefined {
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
      const tables = new Uint32Array(copyOf(head, FIXED_BYTES, 4 * TABLE_WIDTH * nBlocks));
      const at = FIXED_BYTES + 4 * TABLE_WIDTH * nBlocks;
      const landmarks = new Float16Array(copyOf(head, at, 2 * nBlocks * shape.routeSize));
      const ids = new Uint32Array(copyOf(head, at + landmarks.byteLength, 4 * nTokens));
      const segment = new Segment(path, nTokens, mtimeMs, shape, tables);
      return { segment, landmarks: new Float32Array(landmarks), ids };
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
    return this.#tables.length / TABLE_WIDTH;
  }

  /** On disk. */
  get sizeBytes(): number {
    return segmentBytes(this.nTokens, this.#shape);
  }

  lines(block: number): LineRange {
    return { startLine: this.#tables[TABLE_WIDTH * block], endLine: this.#tables[TABLE_WIDTH * block + 1] };
  }

  tokensOf(block: number): number {
    return Math.min(this.#shape.blockSize, this.nTokens - block * this.#shape.blockSize);
  }

  /** The tokens of a block. Throws SegmentDamage where they are not what was written. */
  read(block: number): StoredTokens {
    const { high, low, values } = this.readParts(block, PARTS) as Record<BlockPart, ArrayBuffer>;
    return { keys: this.keysOf(block, high, low), values: this.valuesOf(block, values) };
  }

  /** Some parts of a block. Throws SegmentDamage where they are not what was written. */
  readParts(block: number, parts: readonly BlockPart[]): Partial<Record<BlockPart, ArrayBuffer>> {
    const read: Partial<Record<BlockPart, ArrayBuffer>> = {};
    let fd: number | undefined;
    try {
      fd = openSync(this.path, "r");
      for (const part of parts) {
        const nBytes = partBytes(part, this.tokensOf(block), this.#shape);
        const bytes = readAt(fd, partAt(part, block, this.nTokens, this.#shape), nBytes);
        if (crc32(bytes) !== this.#tables[TABLE_WIDTH * block + 2 + PARTS.indexOf(part)]) {
          throw new SegmentDamage(`its block ${block} has changed`);
        }
        read[part] = copyOf(bytes, 0, nBytes);
      }
      return read;
    } catch (error) {
      if (error instanceof SegmentDamage) throw error;
      throw new SegmentDamage((error as { code?: unknown }).code === "ENOENT" ? "it is gone" : String(error));
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }

  #codesOf(block: number): number {
    const { headSize, rowsPerToken = 1 } = this.#shape;
    return this.tokensOf(block) * rowsPerToken * headSize;
  }

  /** A block's keys, of both planes or, roughly, of the high one. */
  keysOf(block: number, high: ArrayBuffer, low?: ArrayBuffer): QuantisedRows {
    const nCodes = this.#codesOf(block);
    const plane = new Uint8Array(high, 0, planeBytes(nCodes));
    return {
      values: joinCodes(plane, low && new Uint8Array(low), nCodes),
      scales: new Float16Array(high.slice(plane.length)),
    };
  }

  valuesOf(block: number, values: ArrayBuffer): QuantisedRows {
    const nCodes = this.#codesOf(block);
    return { values: new Int8Array(values, 0, nCodes), scales: new Float16Array(values.slice(nCodes)) };
  }
}

/** Checks all fields before they are used as sizes; the number of tokens. */
function checkFixed(fixed: Buffer, id: Uint8Array, shape: SegmentShape, size: number): number {
  const field = (i: number) => fixed.readUInt32LE(MAGIC.length + 4 * i);
  if (!fixed.subarray(0, MAGIC.length).equals(MAGIC)) throw new SegmentDamage("it is no segment");
  if (field(0) < VERSION) throw new SegmentOutdated(`it is of version ${field(0)}`);
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

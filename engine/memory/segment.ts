/**
 * One file's encoded blocks on disk. A segment is written once, under a temporary name, and never changed.
 *
 *   fixed    magic, version, headSize, routeSize, blockSize, nTokens, index's size; id [32]
 *   blocks   each: high, low, values, of n rows; a token of the default model has one row, of other models one for each
 *            head: [heads, tokens]
 *     high     the high plane of its keys' codes [n, headSize] (key-planes.ts), their float16 scales [n]
 *     low      the low plane
 *     values   int8 [n, headSize], float16 scales [n] (engine/models/default/FORMAT.md, Memory)
 *   index    per block: first and last line, size on disk and CRC-32 of each of its parts; landmark [routeSize] in float16
 *            per token: its id
 *   CRC-32 of fixed and index
 *
 * Numbers are little-endian. What is smaller deflated is deflated: the index, and large parts; codes of bell-shaped numbers
 * hold less than eight bits. The index is read when a memory is opened and its checksum covers all that stays in RAM; a
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
import { constants, crc32, deflateRawSync, inflateRawSync, type ZlibOptions } from "node:zlib";
import { fileError } from "../errors.ts";
import type { QuantisedRows, StoredTokens } from "../runtime/hybrid-memory.ts";
import { joinCodes, planeBytes, splitCodes } from "./key-planes.ts";

const MAGIC = Buffer.from("LSMEMSEG");
const VERSION = 4;
const FIXED_BYTES = 64;
const ID_AT = 32;
const CRC_BYTES = 4;

/** Smaller parts stay as they are: many are read at once where each millisecond counts, and little could be saved. */
const DEFLATED_BYTES = 16 * 1024;
/** Codes do not repeat, some are only more frequent than others: looking for repetitions would take three times as long. */
const BY_FREQUENCY: ZlibOptions = { strategy: constants.Z_HUFFMAN_ONLY };

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

/** 32-bit numbers of a block in the index: two lines, a size and a checksum for each part. */
const TABLE_WIDTH = 2 + 2 * PARTS.length;
const [SIZES_AT, CHECKSUMS_AT] = [2, 2 + PARTS.length];

/** A segment is not what was written: `message` says how, for the log. */
export class SegmentDamage extends Error {}

/** It is whole, and was written by an older release. */
export class SegmentOutdated extends SegmentDamage {}

const nBlocksOf = (nTokens: number, { blockSize }: SegmentShape) => Math.ceil(nTokens / blockSize);
const landmarksAt = (nTokens: number, shape: SegmentShape) => 4 * TABLE_WIDTH * nBlocksOf(nTokens, shape);
const idsAt = (nTokens: number, shape: SegmentShape) =>
  landmarksAt(nTokens, shape) + 2 * shape.routeSize * nBlocksOf(nTokens, shape);
const indexBytes = (nTokens: number, shape: SegmentShape) => idsAt(nTokens, shape) + 4 * nTokens;

/** The size of a part of a block of `n` tokens. */
function partBytes(part: BlockPart, n: number, { headSize, rowsPerToken = 1 }: SegmentShape): number {
  const nRows = n * rowsPerToken;
  if (part === "values") return nRows * headSize + 2 * nRows;
  return planeBytes(nRows * headSize) + (part === "high" ? 2 * nRows : 0);
}

/** The most that a segment takes on disk: what it takes where nothing gets smaller. */
export function mostSegmentBytes(nTokens: number, shape: SegmentShape): number {
  const parts = PARTS.reduce((sum, part) => {
    const [whole, rest] = [Math.floor(nTokens / shape.blockSize), nTokens % shape.blockSize];
    return sum + whole * partBytes(part, shape.blockSize, shape) + partBytes(part, rest, shape);
  }, 0);
  return FIXED_BYTES + parts + indexBytes(nTokens, shape) + CRC_BYTES;
}

/** Deflated where that is smaller; so its size tells which it is. */
function deflated(bytes: Buffer, options?: ZlibOptions): Buffer {
  const smaller = deflateRawSync(bytes, options);
  return smaller.length < bytes.length ? smaller : bytes;
}

/** What had `size` bytes. Throws SegmentDamage. */
function inflated(stored: Buffer, size: number): Buffer {
  if (stored.length === size) return stored;
  try {
    const bytes = inflateRawSync(stored, { maxOutputLength: size });
    if (bytes.length === size) return bytes;
  } catch {
    // Checksums were right: whoever wrote it wrote nonsense.
  }
  throw new SegmentDamage("what is deflated in it has another size");
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
  readonly #id: Uint8Array;
  readonly #nTokens: number;
  readonly #index: Buffer;
  #nBlocks = 0;
  /** Where the next block begins. */
  #end = FIXED_BYTES;

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
    this.#id = id;
    this.#nTokens = nTokens;
    this.#index = Buffer.alloc(indexBytes(nTokens, shape));
  }

  /** Appends the next block. Errors: disk-full. */
  append({ tokens: { keys, values }, ids, landmark, startLine, endLine }: WrittenBlock): void {
    const block = this.#nBlocks++;
    const { high, low } = splitCodes(keys.values);
    const contents = { high: [high, keys.scales], low: [low], values: [values.values, values.scales] };
    const parts = PARTS.map((part) => {
      const bytes = Buffer.concat(contents[part].map(bytesOf));
      return bytes.length < DEFLATED_BYTES ? bytes : deflated(bytes, BY_FREQUENCY);
    });
    this.#append(Buffer.concat(parts));
    const table = [startLine, endLine, ...parts.map(({ length }) => length), ...parts.map((part) => crc32(part))];
    this.#index.set(bytesOf(Uint32Array.from(table)), 4 * TABLE_WIDTH * block);
    const { routeSize, blockSize } = this.#shape;
    const landmarks = landmarksAt(this.#nTokens, this.#shape);
    this.#index.set(bytesOf(new Float16Array(landmark)), landmarks + 2 * routeSize * block);
    this.#index.set(bytesOf(Uint32Array.from(ids)), idsAt(this.#nTokens, this.#shape) + 4 * blockSize * block);
  }

  /** Makes the segment visible, whole; waiting for the disk holds up no other work. Errors: disk-full, no-access. */
  async commit(): Promise<void> {
    if (this.#nBlocks !== nBlocksOf(this.#nTokens, this.#shape)) throw new Error("a segment's blocks are missing");
    const { headSize, routeSize, blockSize } = this.#shape;
    const index = deflated(this.#index);
    const fixed = Buffer.alloc(FIXED_BYTES);
    MAGIC.copy(fixed);
    fixed.set(
      bytesOf(Uint32Array.of(VERSION, headSize, routeSize, blockSize, this.#nTokens, index.length)),
      MAGIC.length,
    );
    fixed.set(this.#id, ID_AT);
    this.#append(Buffer.concat([index, bytesOf(Uint32Array.of(crc32(index, crc32(fixed))))]));
    this.#write(fixed, 0);
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

  #append(bytes: Buffer): void {
    this.#write(bytes, this.#end);
    this.#end += bytes.length;
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
  /** On disk. */
  readonly sizeBytes: number;
  readonly #shape: SegmentShape;
  /** [nBlocks, TABLE_WIDTH]: first line, last line, sizes, checksums. */
  readonly #tables: Uint32Array;
  /** Where each block begins, and the last one ends. */
  readonly #starts: Float64Array;

  private constructor(
    path: string,
    nTokens: number,
    usedMs: number,
    shape: SegmentShape,
    tables: Uint32Array,
    indexSize: number,
  ) {
    this.path = path;
    this.nTokens = nTokens;
    this.usedMs = usedMs;
    this.#shape = shape;
    this.#tables = tables;
    this.#starts = new Float64Array(this.nBlocks + 1);
    this.#starts[0] = FIXED_BYTES;
    for (let block = 0; block < this.nBlocks; block++) {
      this.#starts[block + 1] = this.#starts[block] + this.storedBytes(block, PARTS);
    }
    this.sizeBytes = this.#starts[this.nBlocks] + indexSize + CRC_BYTES;
  }

  /** Reads the index of the segment `id`, undefined where there is none. Throws SegmentDamage, or the file system's own error. */
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
      const { nTokens, indexSize } = checkFixed(fixed, id, shape, size);
      const stored = readAt(fd, size - CRC_BYTES - indexSize, indexSize + CRC_BYTES);
      const packed = stored.subarray(0, indexSize);
      if (stored.readUInt32LE(indexSize) !== crc32(packed, crc32(fixed)))
        throw new SegmentDamage("its index has changed");
      const index = inflated(packed, indexBytes(nTokens, shape));
      const [landmarksStart, idsStart] = [landmarksAt(nTokens, shape), idsAt(nTokens, shape)];
      const tables = new Uint32Array(copyOf(index, 0, landmarksStart));
      const landmarks = new Float16Array(copyOf(index, landmarksStart, idsStart - landmarksStart));
      const ids = new Uint32Array(copyOf(index, idsStart, 4 * nTokens));
      const segment = new Segment(path, nTokens, mtimeMs, shape, tables, indexSize);
      if (segment.sizeBytes !== size) {
        throw new SegmentDamage(`it has ${size} bytes instead of ${segment.sizeBytes}`);
      }
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

  /** What parts of a block take on disk. */
  storedBytes(block: number, parts: readonly BlockPart[]): number {
    return parts.reduce((sum, part) => sum + this.#tables[TABLE_WIDTH * block + SIZES_AT + PARTS.indexOf(part)], 0);
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
        const i = PARTS.indexOf(part);
        const position = this.#starts[block] + this.storedBytes(block, PARTS.slice(0, i));
        const stored = readAt(fd, position, this.storedBytes(block, [part]));
        if (crc32(stored) !== this.#tables[TABLE_WIDTH * block + CHECKSUMS_AT + i]) {
          throw new SegmentDamage(`its block ${block} has changed`);
        }
        const size = partBytes(part, this.tokensOf(block), this.#shape);
        read[part] = copyOf(inflated(stored, size), 0, size);
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

/** Checks all fields before they are used as sizes. */
function checkFixed(fixed: Buffer, id: Uint8Array, shape: SegmentShape, size: number) {
  const field = (i: number) => fixed.readUInt32LE(MAGIC.length + 4 * i);
  if (!fixed.subarray(0, MAGIC.length).equals(MAGIC)) throw new SegmentDamage("it is no segment");
  if (field(0) < VERSION) throw new SegmentOutdated(`it is of version ${field(0)}`);
  if (field(0) !== VERSION) throw new SegmentDamage(`it is of version ${field(0)}`);
  if (field(1) !== shape.headSize || field(2) !== shape.routeSize || field(3) !== shape.blockSize) {
    throw new SegmentDamage("it is another model's");
  }
  if (!fixed.subarray(ID_AT, FIXED_BYTES).equals(id)) throw new SegmentDamage("it is another file's");
  const [nTokens, indexSize] = [field(4), field(5)];
  // A token takes more than a byte, whatever can be deflated.
  if (nTokens > size || FIXED_BYTES + indexSize + CRC_BYTES > size) throw new SegmentDamage("it is too short");
  return { nTokens, indexSize };
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

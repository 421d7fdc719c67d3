/**
 * The folder of segments, shared by all folders, windows and models of a user. A segment's name is a hash of everything
 * that determines it: the model with its tokenizer, and the file's bytes. So a file that moves, a branch that comes back
 * and a copy in another folder find their segments, and two processes that write the same one write the same bytes.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileError } from "../errors.ts";
import type { HybridModel } from "../models/hybrid.ts";
import { removeAbandoned, temporaryName } from "../models/temporary-file.ts";
import {
  mostSegmentBytes,
  type OpenedSegment,
  Segment,
  SegmentDamage,
  SegmentOutdated,
  type SegmentShape,
  SegmentWriter,
} from "./segment.ts";
import { type Prefix, StoredStates } from "./stored-states.ts";

/** Raised whenever the same file is encoded to other blocks. How they are stored has a version in each segment. */
const ENCODING_VERSION = 2;

/** A use is written down when the last one was so long ago: the order of eviction needs no more. */
const TOUCH_MS = 24 * 60 * 60 * 1000;
/** Making room goes down to this share of the quota, so that it is seldom needed. */
const ROOM = 0.9;

const SUFFIX = ".segment";
/** Names of segments and states end in the segment's id. */
const STORED = /([0-9a-f]{64})\.(?:segment|state)$/;

/** No file that is encoded is large enough for more: a token has at least one byte. */
const MAX_SEGMENT_BYTES = 512 * 1024 * 1024;

/** Identifies all that decides how a file's bytes are encoded: the model's weights and its tokenizer. */
export function memoryFingerprint({ weights }: Pick<HybridModel, "weights">, modelFolder: string): string {
  const path = join(modelFolder, "tokenizer.json");
  try {
    const tokenizer = createHash("sha256").update(readFileSync(path)).digest("hex");
    return createHash("sha256").update(`${ENCODING_VERSION} ${weights.fingerprint} ${tokenizer}`).digest("hex");
  } catch (error) {
    throw fileError(error, path);
  }
}

export interface SegmentStoreOptions {
  /** What memoryFingerprint gave. */
  readonly fingerprint: string;
  readonly shape: SegmentShape;
  /** The most the folder may hold; where it is reached, the segments unused for longest go. */
  readonly quotaBytes: number;
  /** Gets one line for each segment that cannot be used. */
  readonly log: (line: string) => void;
}

export class SegmentStore {
  readonly shape: SegmentShape;
  /** States inside long files: they count as part of the segment that has their blocks, and go with it. */
  readonly states: StoredStates;
  readonly #dir: string;
  readonly #fingerprint: string;
  readonly #quotaBytes: number;
  readonly #log: (line: string) => void;
  /** Bytes in the folder, counted when it is first needed and again when it seems full. */
  #sizeBytes: number | undefined;

  #hasOutdated = false;

  /** Opens the store in a folder. Errors: no-access, disk-full. */
  constructor(dir: string, { fingerprint, shape, quotaBytes, log }: SegmentStoreOptions) {
    this.shape = shape;
    this.#dir = dir;
    this.#fingerprint = fingerprint;
    this.#quotaBytes = quotaBytes;
    this.#log = log;
    this.states = new StoredStates({ dir, tempDir: this.#tempDir, fingerprint, log });
    try {
      mkdirSync(this.#tempDir, { recursive: true });
    } catch (error) {
      throw fileError(error, dir);
    }
    removeAbandoned(this.#tempDir);
  }

  /** The name of a file's segment; `contentHash` is any hash of its bytes. */
  idOf(contentHash: string): string {
    return createHash("sha256").update(`${this.#fingerprint} ${contentHash}`).digest("hex");
  }

  /** A segment, or undefined where it has to be encoded. Damaged ones are removed. */
  open(id: string): OpenedSegment | undefined {
    const path = this.#pathOf(id);
    try {
      const opened = Segment.open(path, Buffer.from(id, "hex"), this.shape);
      if (opened) this.#touch(path, opened.segment.usedMs);
      return opened;
    } catch (error) {
      if (error instanceof SegmentOutdated) this.#removeOutdated(id);
      else this.discard(id, error instanceof SegmentDamage ? error.message : String(error));
      return undefined;
    }
  }

  /** Whether there is a file of that name; what is in it shows when it is opened. */
  has(id: string): boolean {
    return existsSync(this.#pathOf(id));
  }

  /** Stores the state behind a beginning whose blocks will be in a segment, where the quota has room for it. */
  writeState(prefix: Prefix, id: string, state: Float32Array): void {
    if ((this.#sizeBytes ?? 0) + state.byteLength > this.#quotaBytes) return;
    this.states.write(prefix, id, state);
    if (this.#sizeBytes !== undefined) this.#sizeBytes += state.byteLength;
  }

  /** Starts a segment of `nTokens`. Errors: disk-full, no-access. */
  write(id: string, nTokens: number): SegmentWriter {
    const tempPath = temporaryName(join(this.#tempDir, id));
    if (this.#sizeBytes !== undefined) this.#sizeBytes += mostSegmentBytes(nTokens, this.shape);
    return SegmentWriter.create(this.#pathOf(id), tempPath, Buffer.from(id, "hex"), nTokens, this.shape);
  }

  /** The name under which a segment is shared. */
  nameOf(id: string): string {
    return `${id.slice(0, 2)}/${id}${SUFFIX}`;
  }

  /** Takes in a segment from elsewhere; false where it is not whole or not the one with this id. Errors: disk-full. */
  async takeIn(id: string, bytes: AsyncIterable<Uint8Array>): Promise<boolean> {
    const path = this.#pathOf(id);
    const tempPath = temporaryName(join(this.#tempDir, id));
    try {
      let size = 0;
      const bounded = async function* () {
        for await (const chunk of bytes) {
          size += chunk.length;
          if (size > MAX_SEGMENT_BYTES) throw new SegmentDamage("it is too long");
          yield chunk;
        }
      };
      await writeFile(tempPath, bounded());
      Segment.verify(tempPath, Buffer.from(id, "hex"), this.shape);
      mkdirSync(dirname(path), { recursive: true });
      await rename(tempPath, path);
      if (this.#sizeBytes !== undefined) this.#sizeBytes += size;
      return true;
    } catch (error) {
      if (!(error instanceof SegmentDamage)) throw fileError(error, path);
      this.#log(`A shared memory segment is left out: ${error.message} (${id}).`);
      return false;
    } finally {
      rmSync(tempPath, { force: true });
    }
  }

  /** Removes a segment that is not what was written; it will be encoded anew. */
  discard(id: string, reason: string): void {
    this.#log(`A memory segment cannot be used and is encoded again: ${reason} (${this.#pathOf(id)}).`);
    this.#remove(id);
  }

  /** Nothing is wrong with it, and there may be thousands: one line tells of all. */
  #removeOutdated(id: string): void {
    if (!this.#hasOutdated) this.#log(`Memory segments of an older format are encoded again (${this.#dir}).`);
    this.#hasOutdated = true;
    this.#remove(id);
  }

  #remove(id: string): void {
    try {
      rmSync(this.#pathOf(id), { force: true });
    } catch (error) {
      this.#log(`It could not be removed: ${(error as Error).message}.`);
    }
  }

  /**
   * Whether a segment of `nTokens` fits into the quota, after others have gone if need be: those unused for longest,
   * never those that `isLive`.
   */
  makeRoom(nTokens: number, isLive: (id: string) => boolean): boolean {
    const needed = mostSegmentBytes(nTokens, this.shape);
    this.#sizeBytes ??= this.#stored().reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    if (this.#sizeBytes + needed <= this.#quotaBytes) return true;
    const stored = this.#stored().sort((a, b) => a.usedMs - b.usedMs);
    let size = stored.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    for (const { id, sizeBytes, names } of stored) {
      if (size + needed <= ROOM * this.#quotaBytes) break;
      if (isLive(id)) continue;
      for (const name of names) rmSync(join(this.#dir, name), { force: true });
      size -= sizeBytes;
    }
    this.#sizeBytes = size;
    return size + needed <= this.#quotaBytes;
  }

  /** Every segment in the folder, of whatever model, with the states that stand behind its blocks. */
  #stored(): { id: string; names: string[]; sizeBytes: number; usedMs: number }[] {
    const files = readdirSync(this.#dir, { recursive: true, encoding: "utf8" }).flatMap((name) => {
      const id = STORED.exec(name)?.[1];
      // Another process may have removed it meanwhile.
      const stats = id && statSync(join(this.#dir, name), { throwIfNoEntry: false });
      return id && stats ? [{ id, name, sizeBytes: stats.size, usedMs: stats.mtimeMs }] : [];
    });
    return [...Map.groupBy(files, ({ id }) => id)].map(([id, parts]) => ({
      id,
      names: parts.map(({ name }) => name),
      sizeBytes: parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      usedMs: Math.max(...parts.map(({ usedMs }) => usedMs)),
    }));
  }

  get #tempDir(): string {
    return join(this.#dir, "unfinished");
  }

  #pathOf(id: string): string {
    return join(this.#dir, this.nameOf(id));
  }

  #touch(path: string, usedMs: number): void {
    const now = Date.now();
    // A clock that was wrong may have left a time to come.
    if (Math.abs(now - usedMs) < TOUCH_MS) return;
    try {
      utimesSync(path, now / 1000, now / 1000);
    } catch {
      // Only the order of eviction depends on it.
    }
  }
}

/**
 * States of encoders on disk, so that an edit of a long file need not begin at its first token after a restart either.
 * A state is found by the tokens it stands behind, whatever file they begin, and is never a wrong one:
 *
 *   name     hash of model and tokens, id of the segment that holds these tokens' blocks
 *   content  magic; hash [32]; the state, float32, none where the blocks are all that the encoder needs; CRC-32
 *
 * The segment is part of the name because a later version of the file takes over the states before the edit: by renaming.
 * A state is only a shortcut, so nothing waits for it to reach the disk: one that is not whole is not used.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { temporaryName } from "../models/temporary-file.ts";

const MAGIC = Buffer.from("LSSTATE1");
const HASH_BYTES = 32;
const CRC_BYTES = 4;
const STATE_AT = MAGIC.length + HASH_BYTES;
/** Of the hash in a name: so many hexadecimal digits are enough to find it, all are compared. */
const HASH_DIGITS = 32;

const NAME = /^([0-9a-f]{32})\.([0-9a-f]{64})\.state$/;

/** A beginning of a file. */
export interface Prefix {
  readonly nTokens: number;
  /** Of the model and the tokens. */
  readonly hash: Buffer;
}

export interface StoredStatesOptions {
  readonly dir: string;
  /** Where files lie until they are whole; on the same disk. */
  readonly tempDir: string;
  /** Identifies all that decides how a file's bytes are encoded. */
  readonly fingerprint: string;
  /** Gets one line for each state that cannot be used or stored. */
  readonly log: (line: string) => void;
}

export class StoredStates {
  readonly #options: StoredStatesOptions;

  constructor(options: StoredStatesOptions) {
    this.#options = options;
  }

  /** The beginnings of a file that are multiples of `step` long, shortest first. */
  prefixes(ids: readonly number[], step: number): Prefix[] {
    const hash = createHash("sha256").update(`state ${this.#options.fingerprint} `);
    return Array.from({ length: Math.floor(ids.length / step) }, (_, i) => {
      hash.update(Uint32Array.from(ids.slice(i * step, (i + 1) * step)));
      return { nTokens: (i + 1) * step, hash: hash.copy().digest() };
    });
  }

  /** The segments that hold the blocks of each beginning with a state, by `keyOf` the beginning. */
  segments(): Map<string, string[]> {
    const segments = new Map<string, string[]>();
    for (const name of this.#names()) {
      const [, key, id] = NAME.exec(name) ?? [];
      if (key) segments.set(key, [...(segments.get(key) ?? []), id]);
    }
    return segments;
  }

  /** What was written; undefined, and removed, where it is not that any more. */
  read(prefix: Prefix, id: string): Float32Array | undefined {
    const path = this.#pathOf(prefix, id);
    try {
      const bytes = readFileSync(path);
      const end = bytes.length - CRC_BYTES;
      const isWhole =
        end >= STATE_AT && (end - STATE_AT) % 4 === 0 && bytes.readUInt32LE(end) === crc32(bytes.subarray(0, end));
      if (isWhole && bytes.subarray(0, STATE_AT).equals(Buffer.concat([MAGIC, prefix.hash]))) {
        return new Float32Array(Uint8Array.from(bytes.subarray(STATE_AT, end)).buffer);
      }
      this.discard(prefix, id, "it has changed");
    } catch (error) {
      // Another process may have renamed it meanwhile.
      if ((error as { code?: unknown }).code !== "ENOENT") this.discard(prefix, id, (error as Error).message);
    }
    return undefined;
  }

  /** Stores the state behind a beginning whose blocks will be in a segment. */
  write(prefix: Prefix, id: string, state: Float32Array): void {
    const path = this.#pathOf(prefix, id);
    const tempPath = temporaryName(join(this.#options.tempDir, keyOf(prefix)));
    const body = Buffer.concat([MAGIC, prefix.hash, Buffer.from(state.buffer, state.byteOffset, state.byteLength)]);
    try {
      mkdirSync(this.#dir, { recursive: true });
      writeFileSync(tempPath, Buffer.concat([body, Buffer.from(Uint32Array.of(crc32(body)).buffer)]));
      renameSync(tempPath, path);
    } catch (error) {
      rmSync(tempPath, { force: true });
      this.#options.log(`The state inside a long file is not stored: ${(error as Error).message}.`);
    }
  }

  /** The blocks of a beginning are in another segment from now on. */
  move(prefix: Prefix, from: string, to: string): void {
    try {
      renameSync(this.#pathOf(prefix, from), this.#pathOf(prefix, to));
    } catch {
      // Another process was quicker, or reads it just now: where it is found again is not where it is needed most.
    }
  }

  /** Removes a state that cannot be used. */
  discard(prefix: Prefix, id: string, reason: string): void {
    const path = this.#pathOf(prefix, id);
    this.#options.log(`The stored state inside a long file cannot be used: ${reason} (${path}).`);
    try {
      rmSync(path, { force: true });
    } catch {
      // It will not be used the next time either.
    }
  }

  #names(): string[] {
    try {
      return readdirSync(this.#dir);
    } catch {
      // There is none yet.
      return [];
    }
  }

  get #dir(): string {
    return join(this.#options.dir, "states");
  }

  #pathOf(prefix: Prefix, id: string): string {
    return join(this.#dir, `${keyOf(prefix)}.${id}.state`);
  }
}

export const keyOf = ({ hash }: Prefix) => hash.toString("hex").slice(0, HASH_DIGITS);

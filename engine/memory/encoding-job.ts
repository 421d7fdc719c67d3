/**
 * Encodes what a memory lacks, one file after another, behind all other work of the model. Every file that is done is
 * on disk and in the memory at once, so a job may end at any moment and the next one goes on where it stood.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { LongsightError } from "../errors.ts";
import type { Tokenizer } from "../models/types.ts";
import { readContent } from "../workspace/content.ts";
import type { Checkpoints } from "./checkpoints.ts";
import { type BlockEncoder, blockLines, encodeFile } from "./file-encoder.ts";
import type { RepositoryFile, RepositoryMemory } from "./repository-memory.ts";
import type { SegmentStore } from "./segment-store.ts";

export interface EncodingDeps {
  readonly memory: RepositoryMemory;
  readonly store: SegmentStore;
  readonly encoder: BlockEncoder;
  readonly tokenizer: Tokenizer;
  readonly checkpoints: Checkpoints;
  /** Starts a session run when the model has nothing more urgent to do. Errors: cancelled. */
  readonly turn: <T>(run: () => Promise<T>, signal?: AbortSignal) => Promise<T>;
  /** Waits while the work is held; what it works with may be given back meanwhile. */
  readonly rest?: <T>(wait: () => Promise<T>) => Promise<T>;
  /** The text of a file if its bytes still have the hash, else undefined. */
  readonly read: (file: RepositoryFile) => Promise<string | undefined>;
  readonly log: (line: string) => void;
}

export interface EncodingProgress {
  readonly filesDone: number;
  readonly filesTotal: number;
  /** Encoded by this job. */
  readonly tokensDone: number;
  /** About how long it takes from here, pauses left out; null while too little is known. */
  readonly remainingMs: number | null;
}

export interface EncodingResult {
  readonly filesEncoded: number;
  readonly tokensEncoded: number;
  /** Files that had changed meanwhile or cannot be read. */
  readonly filesLeft: number;
  /** Whether it ended because the memory's quota is used up by this folder itself. */
  readonly isFull: boolean;
  /** Spent on work, pauses left out. */
  readonly ms: number;
}

/** A rate from less work than this says nothing. */
const MIN_RATE_MS = 1000;

export class EncodingJob {
  readonly #deps: EncodingDeps;
  #resume: (() => void) | undefined;
  #paused: Promise<void> | undefined;
  #pausedMs = 0;

  constructor(deps: EncodingDeps) {
    this.#deps = deps;
  }

  /** Stops after the current session run, until `resume`. */
  pause(): void {
    this.#paused ??= new Promise((resolve) => {
      this.#resume = resolve;
    });
  }

  resume(): void {
    this.#resume?.();
    this.#paused = undefined;
    this.#resume = undefined;
  }

  /**
   * Encodes all that the memory lacks. Errors: cancelled, between two session runs; disk-full. What was done until then
   * stays.
   */
  async run(
    options: { readonly signal?: AbortSignal; readonly onProgress?: (progress: EncodingProgress) => void } = {},
  ): Promise<EncodingResult> {
    const { memory, log } = this.#deps;
    const startMs = performance.now();
    this.#pausedMs = 0;
    const workedMs = () => performance.now() - startMs - this.#pausedMs;
    const files = memory.missing;
    let [filesEncoded, filesLeft, tokensEncoded] = [0, 0, 0];
    let isFull = false;
    const bytesTotal = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    // Files that need no work, such as copies, tell nothing of the rate.
    let [bytesDone, bytesEncoded] = [0, 0];
    if (files.length > 0)
      options.onProgress?.({ filesDone: 0, filesTotal: files.length, tokensDone: 0, remainingMs: null });
    for (const [i, file] of files.entries()) {
      if (options.signal?.aborted) throw cancelled();
      const nTokens = await this.#encode(file, options.signal);
      if (nTokens === "full") {
        isFull = true;
        log(`The memory's quota is used up: ${files.length - i} files are left out; allow it more space.`);
        break;
      }
      tokensEncoded += nTokens ?? 0;
      if (nTokens === undefined) filesLeft++;
      else filesEncoded++;
      bytesDone += file.sizeBytes;
      const ms = workedMs();
      if (nTokens) bytesEncoded += file.sizeBytes;
      const isKnown = ms >= MIN_RATE_MS && bytesEncoded > 0;
      const remainingMs = isKnown ? (ms / bytesEncoded) * (bytesTotal - bytesDone) : null;
      options.onProgress?.({ filesDone: i + 1, filesTotal: files.length, tokensDone: tokensEncoded, remainingMs });
    }
    return { filesEncoded, tokensEncoded, filesLeft, isFull, ms: workedMs() };
  }

  /** Encodes one file; its tokens, or undefined where it is not what it was, or "full" where the quota forbids it. */
  async #encode(file: RepositoryFile, signal?: AbortSignal): Promise<number | undefined | "full"> {
    const { memory, store, encoder, tokenizer, checkpoints, read } = this.#deps;
    // Another process, or a copy of the file elsewhere, may have been quicker.
    if (memory.take(file)) return 0;
    const text = await read(file);
    if (text === undefined) return undefined;
    const ids = encoder.fileIds(file.path, text);
    if (!store.makeRoom(ids.length, (id) => memory.needs(id))) return "full";
    const id = store.idOf(file.contentHash);
    const lines = blockLines(ids, store.shape.blockSize, (token) => tokenizer.bytes(token));
    const turn = <T>(run: () => Promise<T>) => this.#turn(run, signal);
    const resumption = checkpoints.find(file.path, ids);
    const recorder = checkpoints.recorder(file.path, { id, ids }, resumption);
    const options = { signal, turn, onState: recorder.take };
    await encodeFile({ id, ids, lines }, encoder, store, options, resumption);
    recorder.finish();
    memory.take(file);
    return ids.length;
  }

  async #turn<T>(run: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const startMs = performance.now();
    const { rest = (wait) => wait() } = this.#deps;
    while (this.#paused) {
      const paused = this.#paused;
      await rest(() => Promise.race([paused, aborted(signal)]));
      if (signal?.aborted) throw cancelled();
    }
    this.#pausedMs += performance.now() - startMs;
    return this.#deps.turn(run, signal);
  }
}

/** Reads files of a folder for encoding, as the indexer reads them. */
export function folderReader(root: string): EncodingDeps["read"] {
  return async ({ path, contentHash }) => {
    let bytes: Uint8Array;
    try {
      bytes = await readFile(join(root, path));
    } catch {
      // Whatever it is, the indexer will meet it too and say so.
      return undefined;
    }
    if (createHash("sha256").update(bytes).digest("hex") !== contentHash) return undefined;
    const content = readContent(bytes);
    return content.skipped === null ? content.text : undefined;
  };
}

const cancelled = () => new LongsightError("cancelled", "Cancelled.");

/** Settles when the signal aborts. */
function aborted(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => signal?.addEventListener("abort", () => resolve(), { once: true }));
}

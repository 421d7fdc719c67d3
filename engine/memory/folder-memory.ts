/**
 * The memory of an open folder, kept up to date in the background: what the engine holds for each folder. It can be used
 * from the first encoded file on.
 */
import { join } from "node:path";
import { LongsightError } from "../errors.ts";
import type { HybridModel } from "../models/hybrid.ts";
import { cacheDir } from "../paths.ts";
import type { StoredFile } from "./catalogue-types.ts";
import { Checkpoints } from "./checkpoints.ts";
import {
  type EncodingDeps,
  EncodingJob,
  type EncodingProgress,
  type EncodingResult,
  folderReader,
} from "./encoding-job.ts";
import type { CompletionPlace, MemoryContext } from "./memory-context.ts";
import type { Remote } from "./remote.ts";
import { type RepositoryFile, RepositoryMemory } from "./repository-memory.ts";
import type { SegmentShape } from "./segment.ts";
import { SegmentStore } from "./segment-store.ts";
import { type PullResult, type PushResult, pullMemory, pushMemory, type ShareOptions } from "./sharing.ts";
import { SizedIndex } from "./sized-index.ts";

/** The model that encodes, and when it may. */
export interface MemoryModel extends Pick<EncodingDeps, "encoder" | "tokenizer" | "turn" | "rest"> {
  /** Identifies all that decides how a file's bytes are encoded. */
  readonly fingerprint: string;
  readonly shape: SegmentShape;
  /** The model itself, where its retrieval layers look for blocks. */
  readonly router?: HybridModel;
}

export interface FolderMemoryOptions {
  /** Where segments lie: a folder in the user's cache, shared by all folders, or one elsewhere. */
  readonly folder?: string;
  readonly dir?: string;
  /** The most that segments may take on disk. */
  readonly quotaBytes?: number;
  readonly log?: (line: string) => void;
}

export interface MemoryStatus {
  /** Files whose contents are encoded, of all that should be. */
  readonly filesEncoded: number;
  readonly filesTotal: number;
  readonly nTokens: number;
  /** What the background work has done, null while it rests. */
  readonly encoding: EncodingProgress | null;
  /** Whether the background work is held. */
  readonly isPaused: boolean;
}

export interface RefreshOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: EncodingProgress) => void;
}

/** About thirty million tokens. */
const QUOTA_BYTES = 4 * 2 ** 30;

export class FolderMemory {
  /** What is encoded by now. */
  readonly memory: RepositoryMemory;
  readonly #deps: EncodingDeps;
  #job: { readonly work: EncodingJob; readonly stop: AbortController; readonly done: Promise<unknown> } | undefined;
  #progress: EncodingProgress | null = null;
  #isPaused = false;

  /** Opens the memory of a folder, empty until the first `refresh`. Errors: no-access, disk-full. */
  constructor(root: string, model: MemoryModel, options: FolderMemoryOptions = {}) {
    const { encoder, tokenizer, turn, rest, fingerprint, shape, router } = model;
    const {
      folder = "memory",
      dir = join(cacheDir(), folder),
      quotaBytes = QUOTA_BYTES,
      log = console.error,
    } = options;
    const store = new SegmentStore(dir, { fingerprint, shape, quotaBytes, log });
    const memory = new RepositoryMemory(router, store, new SizedIndex(shape.routeSize));
    const checkpoints = new Checkpoints(store, encoder);
    this.memory = memory;
    this.#deps = { memory, store, encoder, tokenizer, checkpoints, turn, rest, read: folderReader(root), log };
  }

  get status(): MemoryStatus {
    const { nTokens, nContents, missing } = this.memory;
    const filesEncoded = nContents - missing.length;
    return { nTokens, filesTotal: nContents, filesEncoded, encoding: this.#progress, isPaused: this.#isPaused };
  }

  /**
   * Makes this the memory of the catalogue's files: those that are encoded can be used at once, the others are encoded
   * one after another. Settles when all are, or when another `refresh` or `close` takes over (then with undefined).
   * Errors: disk-full, cancelled.
   */
  async refresh(files: readonly StoredFile[], options: RefreshOptions = {}): Promise<EncodingResult | undefined> {
    // Of several calls at once the last one waits for all before it.
    do await this.#stop();
    while (this.#job);
    if (options.signal?.aborted) throw new LongsightError("cancelled", "Cancelled.");
    const stop = new AbortController();
    const cancel = () => stop.abort();
    options.signal?.addEventListener("abort", cancel);
    const work = new EncodingJob(this.#deps);
    if (this.#isPaused) work.pause();
    const run = async () => {
      await this.memory.update(searchedFiles(files));
      return await work.run({
        signal: stop.signal,
        onProgress: (progress) => {
          this.#progress = progress;
          options.onProgress?.(progress);
        },
      });
    };
    const done = run().finally(() => {
      this.#progress = null;
      options.signal?.removeEventListener("abort", cancel);
    });
    this.#job = { work, stop, done };
    try {
      return await done;
    } catch (error) {
      if (stop.signal.aborted && !options.signal?.aborted) return undefined;
      throw error;
    }
  }

  /** Makes this the memory of the catalogue's files without encoding any. */
  async attach(files: readonly StoredFile[]): Promise<void> {
    await this.memory.update(searchedFiles(files));
  }

  /** Brings what is encoded to a place where others can take it from. Errors: no-access, cancelled. */
  push(remote: Remote, options: ShareOptions = {}): Promise<PushResult> {
    return pushMemory(this.memory, this.#deps.store, remote, options);
  }

  /** Takes over what others have encoded. Errors: no-access, disk-full, cancelled. */
  pull(remote: Remote, options: ShareOptions = {}): Promise<PullResult> {
    return pullMemory(this.memory, this.#deps.store, remote, options);
  }

  /** Holds the background work, until `resume`. */
  pause(): void {
    this.#isPaused = true;
    this.#job?.work.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#job?.work.resume();
  }

  /** What a completion at the place may look at (engine/complete, RepositoryContext). */
  memoryFor(place: CompletionPlace): MemoryContext | undefined {
    return this.memory.memoryFor(place);
  }

  /** Ends the background work; what is encoded stays on disk. */
  async close(): Promise<void> {
    await this.#stop();
  }

  async #stop(): Promise<void> {
    const job = this.#job;
    this.#job = undefined;
    job?.stop.abort();
    await job?.done.catch(() => {});
  }
}

function searchedFiles(files: readonly StoredFile[]): RepositoryFile[] {
  return files.flatMap(({ path, contentHash, sizeBytes, skipped }) =>
    contentHash !== null && skipped === null ? [{ path, contentHash, sizeBytes }] : [],
  );
}

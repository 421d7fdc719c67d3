/** Brings the catalogue of a folder up to date. Only what changed since the last time is read, cut and written. */
import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileError, LongsightError } from "../errors.ts";
import { Precedence } from "../runtime/precedence.ts";
import { type Content, readContent, type SkipReason } from "../workspace/content.ts";
import { listFiles, MAX_FILE_BYTES } from "../workspace/files.ts";
import { languageName } from "../workspace/languages.ts";
import { cutFile } from "../workspace/spans.ts";
import { BYTES_PER_TOKEN, Catalogue, catalogueDir } from "./catalogue.ts";
import { databaseError, isDamage } from "./catalogue-database.ts";
import { CatalogueWriter, type FileChange, type KnownFile, type NewContent } from "./catalogue-writer.ts";

/** A file to index, wherever it comes from. */
export interface SourceFile {
  /** With forward slashes. */
  readonly path: string;
  readonly skipped: SkipReason | null;
  readonly sizeBytes: number;
  /** Equal to that of the last time only if the file has not changed; empty where that cannot be told. */
  readonly stamp: string;
  /** What the file's contents are cached under, where that is known without reading: any key of the same bytes. */
  readonly contentHash?: string;
  /** Undefined where the file is not there any more. */
  readonly read: () => Promise<Uint8Array | undefined>;
}

export interface IndexProgress {
  readonly phase: "listing" | "indexing";
  readonly nDone: number;
  /** Null while it is not known. */
  readonly nTotal: number | null;
}

export interface IndexOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: IndexProgress) => void;
  /** What goes first. */
  readonly precedence?: Precedence;
}

export interface IndexResult {
  /** Searchable files. */
  readonly files: number;
  /** Files taken up because they are new or have changed. */
  readonly indexed: number;
  readonly unchanged: number;
  readonly removed: number;
  /** Files left out, by reason. */
  readonly skipped: Record<string, number>;
  readonly nTokensAbout: number;
  readonly ms: number;
}

/** A batch is written when it holds this much; a killed run loses no more than that. */
const BATCH_BYTES = 256 * 1024;
const BATCH_FILES = 500;
/** Files that are compared with what is known at a stretch: some milliseconds, where none has changed. */
const SEEN_AT_ONCE = 2000;
/** Files that are forgotten in one transaction: some milliseconds. */
const REMOVED_AT_ONCE = 64;
const PROGRESS_INTERVAL_MS = 100;

/**
 * Indexes a folder into `catalogue`, by default the folder's own in the user's cache.
 * @throws LongsightError where the folder cannot be read, the disk is full, or the signal is aborted: what was written
 *   until then stays and is not done again.
 */
export async function indexFolder(
  folder: string,
  options: IndexOptions & { readonly catalogue?: Catalogue } = {},
): Promise<IndexResult> {
  const root = resolve(folder);
  requireFolder(root);
  const catalogue = options.catalogue ?? Catalogue.open(catalogueDir(root));
  try {
    return await indexFiles(filesOf(root, options.signal), catalogue, options, () => requireFolder(root));
  } finally {
    if (!options.catalogue) catalogue.close();
  }
}

function requireFolder(folder: string): void {
  try {
    if (statSync(folder).isDirectory()) return;
  } catch (error) {
    throw fileError(error, folder);
  }
  throw new LongsightError("bad-input", `${folder} is not a folder; give a folder.`);
}

async function* filesOf(root: string, signal?: AbortSignal): AsyncGenerator<SourceFile> {
  for await (const file of listFiles(root, signal)) {
    yield { ...file, read: () => readIfThere(join(root, file.path)) };
  }
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * Makes the catalogue hold exactly these files. `beforeRemoval` may throw to keep the files that were not found.
 * @throws LongsightError as `indexFolder` does.
 */
export async function indexFiles(
  source: AsyncIterable<SourceFile> | Iterable<SourceFile>,
  catalogue: Catalogue,
  options: IndexOptions = {},
  beforeRemoval: () => void = () => {},
): Promise<IndexResult> {
  try {
    return await new Indexer(catalogue, options).run(source, beforeRemoval);
  } catch (error) {
    throw databaseError(error, catalogue.path);
  }
}

class Indexer {
  readonly #catalogue: Catalogue;
  readonly #options: IndexOptions;
  readonly #precedence: Precedence;
  #writer: CatalogueWriter;
  #lastProgressMs = 0;

  constructor(catalogue: Catalogue, options: IndexOptions) {
    this.#catalogue = catalogue;
    this.#options = options;
    this.#precedence = options.precedence ?? new Precedence();
    this.#writer = new CatalogueWriter(catalogue.database);
  }

  async run(source: AsyncIterable<SourceFile> | Iterable<SourceFile>, beforeRemoval: () => void): Promise<IndexResult> {
    const startMs = performance.now();
    const files: SourceFile[] = [];
    for await (const file of source) {
      files.push(file);
      this.#report("listing", files.length, null);
    }
    let counts: Counts;
    try {
      counts = await this.#update(files, beforeRemoval);
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.#catalogue.rebuild();
      this.#writer = new CatalogueWriter(this.#catalogue.database);
      counts = await this.#update(files, beforeRemoval);
    }
    const { sizeBytes, ...rest } = counts;
    const nTokensAbout = Math.round(sizeBytes / BYTES_PER_TOKEN);
    return { ...rest, nTokensAbout, ms: Math.round(performance.now() - startMs) };
  }

  async #update(files: readonly SourceFile[], beforeRemoval: () => void): Promise<Counts> {
    const counts: Counts = { files: 0, indexed: 0, unchanged: 0, removed: 0, skipped: {}, sizeBytes: 0 };
    const known = await this.#writer.knownFiles(() => this.#giveWay());
    let batch: FileChange[] = [];
    let batchBytes = 0;
    for (const [i, file] of files.entries()) {
      this.#stopIfAborted();
      const before = known.get(file.path);
      const change = isUnchanged(file, before) ? null : await this.#changeOf(file);
      // A file that went away after it was listed is removed with the others.
      if (change === undefined) continue;
      known.delete(file.path);
      count(counts, file, before, change);
      if (change) {
        batch.push(change);
        batchBytes += file.sizeBytes;
        await this.#giveWay();
      }
      if (batchBytes >= BATCH_BYTES || batch.length >= BATCH_FILES) {
        await this.#write(batch);
        batch = [];
        batchBytes = 0;
      }
      if (i % SEEN_AT_ONCE === SEEN_AT_ONCE - 1) await this.#giveWay();
      this.#report("indexing", i + 1, files.length);
    }
    await this.#write(batch);
    beforeRemoval();
    counts.removed = known.size;
    const removed = [...known.keys()];
    for (let at = 0; at < removed.length; at += REMOVED_AT_ONCE) {
      await this.#writer.remove(removed.slice(at, at + REMOVED_AT_ONCE));
      await this.#giveWay();
    }
    if (known.size > 0 || counts.indexed > 0) await this.#writer.prune();
    return counts;
  }

  async #write(batch: readonly FileChange[]): Promise<void> {
    for (let at = 0; at < batch.length; ) {
      at += await this.#writer.put(batch.slice(at), this.#precedence);
      await this.#giveWay();
    }
  }

  async #giveWay(): Promise<void> {
    await this.#precedence.giveWay();
    this.#stopIfAborted();
  }

  /** Undefined where the file is not there any more. */
  async #changeOf(file: SourceFile): Promise<FileChange | undefined> {
    const { path, sizeBytes, stamp, skipped } = file;
    if (skipped) return { path, sizeBytes, stamp, skipped, content: null };
    try {
      const content = await this.#contentOf(file);
      return content && { path, sizeBytes, stamp, skipped, content };
    } catch (error) {
      if (!isFileError(error)) throw error;
      return { path, sizeBytes, stamp: "", skipped: "unreadable", content: null };
    }
  }

  async #contentOf(file: SourceFile): Promise<NewContent | undefined> {
    const language = languageName(file.path);
    const cached = (hash: string): NewContent | undefined => {
      const known = this.#writer.knownContent(hash, language);
      return known && { hash, language, cut: null, skipped: known.skipped };
    };
    const kept = file.contentHash === undefined ? undefined : cached(file.contentHash);
    if (kept) return kept;
    const bytes = await file.read();
    if (!bytes) return undefined;
    const hash = file.contentHash ?? createHash("sha256").update(bytes).digest("hex");
    const content: Content = bytes.length > MAX_FILE_BYTES ? { skipped: "oversized" } : readContent(bytes);
    return (
      cached(hash) ??
      (content.skipped
        ? { hash, language, cut: null, skipped: content.skipped }
        : {
            hash,
            language,
            cut: await cutFile(file.path, content.text, () => this.#precedence.giveWay()),
            skipped: null,
          })
    );
  }

  #stopIfAborted(): void {
    if (this.#options.signal?.aborted) throw new LongsightError("cancelled", "Indexing was cancelled.");
  }

  #report(phase: IndexProgress["phase"], nDone: number, nTotal: number | null): void {
    const now = performance.now();
    if (nDone !== nTotal && now - this.#lastProgressMs < PROGRESS_INTERVAL_MS) return;
    this.#lastProgressMs = now;
    this.#options.onProgress?.({ phase, nDone, nTotal });
  }
}

/** What an IndexResult counts, while it is being counted. */
interface Counts {
  files: number;
  indexed: number;
  unchanged: number;
  removed: number;
  readonly skipped: Record<string, number>;
  sizeBytes: number;
}

function count(counts: Counts, file: SourceFile, before: KnownFile | undefined, change: FileChange | null): void {
  const skipped = change ? (change.skipped ?? change.content?.skipped ?? null) : (before?.skipped ?? null);
  if (skipped) {
    counts.skipped[skipped] = (counts.skipped[skipped] ?? 0) + 1;
    return;
  }
  counts.files++;
  counts.sizeBytes += file.sizeBytes;
  if (change && change.content?.hash !== before?.hash) counts.indexed++;
  else counts.unchanged++;
}

function isUnchanged(file: SourceFile, before: KnownFile | undefined): boolean {
  if (!before || file.stamp !== before.stamp) return false;
  // A skipped file is not read, so its name and size say all there is to know.
  if (file.skipped) return file.skipped === before.skipped && !before.isRead;
  return file.stamp !== "" && before.isRead;
}

/** Whether the operating system refused to read a file. */
function isFileError(error: unknown): boolean {
  return typeof (error as { syscall?: unknown }).syscall === "string";
}

/**
 * The folders that are open, shared by all users of an engine: its windows. A folder is opened for the first who asks
 * for it and closed when nobody has it any more.
 */
import { realpathSync } from "node:fs";
import { FolderCopies } from "./complete/folder-copies.ts";
import type { Work } from "./engine-calls.ts";
import { fileError } from "./errors.ts";
import { Catalogue, catalogueDir } from "./memory/catalogue.ts";
import type { FolderMemory, MemoryStatus } from "./memory/folder-memory.ts";
import { type IndexResult, indexFolder } from "./memory/indexer.ts";
import { tidyIndexes } from "./memory/tidy-indexes.ts";
import { Precedence } from "./runtime/precedence.ts";

export class OpenFolders {
  readonly #precedence: Precedence;
  /** By canonical path. */
  readonly #folders = new Map<string, { readonly open: OpenFolder; readonly users: Set<object> }>();

  /** `precedence`: what goes before indexing them. */
  constructor(precedence = new Precedence()) {
    this.#precedence = precedence;
  }

  /** Those that are open for a user. */
  of(user: object): OpenFolder[] {
    return [...this.#folders.values()].filter(({ users }) => users.has(user)).map(({ open }) => open);
  }

  all(): OpenFolder[] {
    return [...this.#folders.values()].map(({ open }) => open);
  }

  /** The folder at a path, which stays open for the user. Errors: not-found, no-access, disk-full. */
  open(folder: string, user: object): OpenFolder {
    let path: string;
    try {
      path = realpathSync.native(folder);
    } catch (error) {
      throw fileError(error, folder);
    }
    const entry = this.#folders.get(path) ?? { open: new OpenFolder(path, this.#precedence), users: new Set() };
    this.#folders.set(path, entry);
    entry.users.add(user);
    return entry.open;
  }

  /** Closes what only this user has open, once what works there is through. */
  async leave(user: object): Promise<void> {
    const left: OpenFolder[] = [];
    for (const [path, { open, users }] of this.#folders) {
      if (!users.delete(user) || users.size > 0) continue;
      this.#folders.delete(path);
      left.push(open);
    }
    for (const open of left) await open.close();
  }
}

/** A folder's catalogue; indexing it happens once at a time. */
export class OpenFolder {
  readonly path: string;
  readonly catalogue: Catalogue;
  copies: FolderCopies;
  /** In use from the first time it is asked for. */
  memory: FolderMemory | undefined;
  /** Those of users' models, by what the models are loaded by. */
  readonly #ownMemories = new Map<string, FolderMemory>();
  /** While what completions look at is got ready. */
  preparing: Promise<void> | undefined;
  isIndexed = false;
  isEncodingPaused = false;
  /** What was encoded when the memory was given back while its encoding was held. */
  #held: MemoryStatus | undefined;
  isClosed = false;
  readonly #precedence: Precedence;
  #last: Promise<unknown> = Promise.resolve();

  constructor(path: string, precedence: Precedence) {
    this.path = path;
    this.#precedence = precedence;
    const dir = catalogueDir(path);
    this.catalogue = Catalogue.open(dir);
    tidyIndexes(dir);
    this.copies = new FolderCopies(path, precedence);
  }

  index({ signal, onProgress }: Work): Promise<IndexResult> {
    const turn = this.#last.then(async () => {
      const result = await indexFolder(this.path, {
        catalogue: this.catalogue,
        signal,
        precedence: this.#precedence,
        onProgress: ({ phase, nDone, nTotal }) => onProgress?.({ kind: "work", phase, done: nDone, total: nTotal }),
      });
      this.isIndexed = true;
      return result;
    });
    this.#last = turn.catch(() => {});
    return turn;
  }

  /** Holds the encoding behind all other work, or lets it go on. */
  pauseEncoding(isPaused: boolean): void {
    this.isEncodingPaused = isPaused;
    for (const memory of [this.memory, ...this.#ownMemories.values()]) {
      if (isPaused) memory?.pause();
      else memory?.resume();
    }
  }

  /**
   * What to tell of the memory: of the shipped model's, of that of a user's model while only that one is being encoded, or of
   * the one that was held; undefined where none is in use.
   */
  get memoryStatus(): MemoryStatus | undefined {
    const statuses = [this.memory, ...this.#ownMemories.values()].flatMap((memory) => (memory ? [memory.status] : []));
    const held = this.isEncodingPaused ? this.#held : undefined;
    return statuses.find(({ encoding }) => encoding !== null) ?? this.memory?.status ?? held;
  }

  /** The memory of a user's model, opened when it is first asked for. */
  memoryOf(model: string, openMemory: () => FolderMemory): FolderMemory {
    const memory = this.#ownMemories.get(model) ?? openMemory();
    this.#ownMemories.set(model, memory);
    if (this.isEncodingPaused) memory.pause();
    return memory;
  }

  /**
   * Gives the RAM of a model's memory back, without one the shipped model's and that of what completions copy from; what is
   * encoded stays on disk, and copies are made anew when they are asked for.
   */
  async closeMemory(model?: string): Promise<void> {
    const memory = model === undefined ? this.memory : this.#ownMemories.get(model);
    if (model === undefined) {
      // Kept while there is none: others may use the model meanwhile.
      this.#held = memory?.status ?? this.#held;
      this.memory = undefined;
      this.copies = new FolderCopies(this.path, this.#precedence);
    } else this.#ownMemories.delete(model);
    await memory?.close();
  }

  async close(): Promise<void> {
    this.isClosed = true;
    await this.#last;
    for (const model of [undefined, ...this.#ownMemories.keys()]) await this.closeMemory(model);
    this.catalogue.close();
  }
}

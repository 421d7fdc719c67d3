/** The text of a folder that completions copy from, and its names, kept up to date with the folder's catalogue. */
import type { StoredFile } from "../memory/catalogue-types.ts";
import { folderReader } from "../memory/encoding-job.ts";
import { Precedence } from "../runtime/precedence.ts";
import { CopyIndex } from "./copy-index.ts";
import { NameIndex } from "./name-index.ts";

/** The index takes about five times this of RAM, the names less than this. */
const MAX_BYTES = 16 * 1024 * 1024;

/** Larger files are data more often than code. */
const MAX_FILE_BYTES = 256 * 1024;

export class FolderCopies {
  readonly index = new CopyIndex({ maxBytes: MAX_BYTES });
  readonly names = new NameIndex();
  readonly #read: ReturnType<typeof folderReader>;
  /** What goes before an update. */
  readonly #precedence: Precedence;
  readonly #log: (line: string) => void;
  /** The contents that are in the index, by path. */
  readonly #hashes = new Map<string, string>();
  #last: Promise<void> | undefined;

  constructor(root: string, precedence = new Precedence(), log: (line: string) => void = console.error) {
    this.#read = folderReader(root);
    this.#precedence = precedence;
    this.#log = log;
  }

  /** Whether there was an update; what it has taken up until now can be used while it goes on. */
  get isInUse(): boolean {
    return this.#last !== undefined;
  }

  /** Takes up what is new or has changed among the catalogue's files and forgets what is gone. One call after another. */
  update(files: readonly StoredFile[]): Promise<void> {
    const turn = (this.#last ?? Promise.resolve()).then(() => this.#update(files));
    this.#last = turn.catch(() => {});
    return turn;
  }

  async #update(files: readonly StoredFile[]): Promise<void> {
    // Files in a programming language first: they are what is left in where not all fit.
    const wanted = files
      .filter(({ skipped, sizeBytes }) => skipped === null && sizeBytes <= MAX_FILE_BYTES)
      .sort((a, b) => Number(a.language === null) - Number(b.language === null));
    const paths = new Set(wanted.map(({ path }) => path));
    for (const path of this.#hashes.keys()) if (!paths.has(path)) this.#forget(path);
    let nLeftOut = 0;
    for (const { path, contentHash, sizeBytes } of wanted) {
      if (contentHash === null || this.#hashes.get(path) === contentHash) continue;
      await this.#precedence.giveWay();
      // Until the new text is there, completions copy from the old one.
      const text = await this.#read({ path, contentHash, sizeBytes });
      this.#forget(path);
      // It has changed since: the next update brings it.
      if (text === undefined) continue;
      if (this.index.set(path, new TextEncoder().encode(text))) {
        this.names.set(path, text);
        this.#hashes.set(path, contentHash);
      } else nLeftOut++;
    }
    if (nLeftOut > 0) this.#log(`Completions copy from ${this.#hashes.size} files; ${nLeftOut} more do not fit.`);
  }

  #forget(path: string): void {
    this.#hashes.delete(path);
    this.index.remove(path);
    this.names.remove(path);
  }
}

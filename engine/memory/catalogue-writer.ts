/** Changes to the catalogue. Every batch of files is one transaction: killed at any moment, the catalogue is whole. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { setImmediate } from "node:timers/promises";
import type { Precedence } from "../runtime/precedence.ts";
import type { SkipReason } from "../workspace/content.ts";
import type { CutFile, Span } from "../workspace/spans.ts";
import { SPANS_PER_FILE } from "./catalogue-database.ts";
import { termsOf } from "./terms.ts";

/** The contents of a file: the key they are cached under, and what they were cut into where that is new. */
export interface NewContent {
  readonly hash: string;
  readonly language: string | null;
  /** Null where the catalogue holds these contents already. */
  readonly cut: CutFile | null;
  readonly skipped: SkipReason | null;
}

/** A file as it is now. */
export interface FileChange {
  readonly path: string;
  readonly sizeBytes: number;
  readonly stamp: string;
  /** Why the file was not read, null where it was. */
  readonly skipped: SkipReason | null;
  readonly content: NewContent | null;
}

/** What the catalogue knows of a file, to tell whether it has changed. */
export interface KnownFile {
  readonly stamp: string;
  readonly hash: string | null;
  /** Why the file or its contents are not searched. */
  readonly skipped: SkipReason | null;
  readonly isRead: boolean;
  readonly sizeBytes: number;
}

/** Contents of files that are gone are kept up to this size, or up to that of the present ones if that is more. */
const KEPT_BYTES = 64 * 1024 * 1024;

/** Files that are read at a stretch: some milliseconds. */
const KNOWN_AT_ONCE = 2000;

export class CatalogueWriter {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** All files, read some at a time; `rest` is called in between. */
  async knownFiles(rest: () => Promise<void>): Promise<Map<string, KnownFile>> {
    const known = new Map<string, KnownFile>();
    const page = this.#sql(`SELECT path, stamp, hash, files.size, files.skipped, contents.skipped AS content_skipped
      FROM files LEFT JOIN contents ON contents.id = content WHERE path > ? ORDER BY path LIMIT ${KNOWN_AT_ONCE}`);
    for (let last = ""; ; await rest()) {
      const rows = page.all(last);
      for (const row of rows) {
        known.set(String(row.path), {
          stamp: String(row.stamp),
          hash: row.hash as string | null,
          skipped: (row.skipped ?? row.content_skipped) as SkipReason | null,
          isRead: row.hash !== null,
          sizeBytes: Number(row.size),
        });
      }
      if (rows.length < KNOWN_AT_ONCE) return known;
      last = String(rows[rows.length - 1].path);
    }
  }

  /** What is known of contents: undefined where they are new, else whether they are searched. */
  knownContent(hash: string, language: string | null): { skipped: SkipReason | null } | undefined {
    const row = this.#contentRow(hash, language);
    return row && { skipped: row.skipped as SkipReason | null };
  }

  /**
   * Writes changed files, letting other work in between two of them; ends when something is to go first.
   * @returns how many it has written, at least one.
   */
  async put(changes: readonly FileChange[], precedence: Pick<Precedence, "isUrgent">): Promise<number> {
    let n = 0;
    await this.#transaction(async () => {
      do {
        this.#putFile(changes[n++]);
        await setImmediate();
      } while (n < changes.length && !precedence.isUrgent);
    });
    return n;
  }

  /** Forgets files that are gone; their contents are kept for a while. */
  async remove(paths: readonly string[]): Promise<void> {
    await this.#transaction(async () => {
      for (const path of paths) this.#unlink(path);
    });
  }

  #putFile({ path, sizeBytes, stamp, skipped, content }: FileChange): void {
    const contentId = content && this.#contentId(content, sizeBytes);
    // Cached contents that another process has dropped meanwhile: the file is taken up at the next run.
    if (contentId === undefined) return;
    const old = this.#sql("SELECT id, content, skipped FROM files WHERE path = ?").get(path);
    if (old && old.content === contentId && old.skipped === skipped) {
      this.#sql("UPDATE files SET stamp = ?, size = ? WHERE id = ?").run(stamp, sizeBytes, old.id);
      return;
    }
    this.#unlink(path);
    const { lastInsertRowid } = this.#sql(
      "INSERT INTO files(path, content, size, stamp, skipped) VALUES (?, ?, ?, ?, ?)",
    ).run(path, contentId, sizeBytes, stamp, skipped);
    if (contentId !== null) this.#addTerms(Number(lastInsertRowid), path, contentId);
  }

  #contentId({ hash, language, cut, skipped }: NewContent, sizeBytes: number): number | undefined {
    const row = this.#contentRow(hash, language);
    if (row) return Number(row.id);
    if (!cut && skipped === null) return undefined;
    const { lastInsertRowid } = this.#sql(
      "INSERT INTO contents(hash, language, skipped, size, lines, used) VALUES (?, ?, ?, ?, ?, ?)",
    ).run(hash, language, skipped, sizeBytes, cut?.nLines ?? 0, Date.now());
    const id = Number(lastInsertRowid);
    if (cut) this.#addCut(id, cut);
    return id;
  }

  #contentRow(hash: string, language: string | null) {
    return this.#sql("SELECT id, skipped FROM contents WHERE hash = ? AND ifnull(language, '') = ?").get(
      hash,
      language ?? "",
    );
  }

  #addCut(contentId: number, { spans, symbols }: CutFile): void {
    const addSpan = this.#sql("INSERT INTO spans VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    spans.forEach(({ startLine, endLine, symbol, kind, container, names, doc, text }, i) => {
      const id = contentId * SPANS_PER_FILE + i;
      const docLines = [doc?.startLine ?? null, doc?.endLine ?? null];
      addSpan.run(id, startLine, endLine, symbol, kind, container, names.join(" "), ...docLines, text);
    });
    const addSymbol = this.#sql("INSERT INTO symbols VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
    for (const { name, kind, container, signature, startLine, endLine } of symbols) {
      const span = spanAt(spans, startLine);
      addSymbol.run(contentId, name, kind, container, signature, startLine, endLine, span);
    }
  }

  #addTerms(fileId: number, path: string, contentId: number): void {
    const rows = this.#sql(
      "SELECT id, start_line, end_line, names, text FROM spans WHERE id >= ? AND id < ? ORDER BY id",
    ).all(...rowsOf(contentId));
    if (rows.length === 0) return;
    const pathTerms = termsOf(path).join(" ");
    const addSpan = this.#sql("INSERT INTO span_terms(rowid, body, symbol, path) VALUES (?, ?, ?, ?)");
    const whole: string[] = [];
    let lastLine = 0;
    rows.forEach((row, i) => {
      const text = String(row.text);
      const body = termsOf(text).join(" ");
      addSpan.run(fileId * SPANS_PER_FILE + i, body, termsOf(String(row.names)).join(" "), pathTerms);
      // Windows overlap; the whole file has each line once.
      const nSeen = Math.max(0, lastLine - Number(row.start_line) + 1);
      whole.push(nSeen === 0 ? body : termsOf(text.split("\n").slice(nSeen).join("\n")).join(" "));
      lastLine = Number(row.end_line);
    });
    this.#sql("INSERT INTO file_terms(rowid, body, path) VALUES (?, ?, ?)").run(fileId, whole.join(" "), pathTerms);
    this.#sql("INSERT INTO path_terms(rowid, path) VALUES (?, ?)").run(fileId, pathTerms);
  }

  #unlink(path: string): void {
    const file = this.#sql("SELECT id, content FROM files WHERE path = ?").get(path);
    if (!file) return;
    if (file.content !== null) {
      this.#sql("DELETE FROM span_terms WHERE rowid >= ? AND rowid < ?").run(...rowsOf(Number(file.id)));
      this.#sql("DELETE FROM file_terms WHERE rowid = ?").run(file.id);
      this.#sql("DELETE FROM path_terms WHERE rowid = ?").run(file.id);
      this.#sql("UPDATE contents SET used = ? WHERE id = ?").run(Date.now(), file.content);
    }
    this.#sql("DELETE FROM files WHERE id = ?").run(file.id);
  }

  /** Drops the contents of files that are gone, the longest unused first, down to what may be kept. */
  async prune(keptBytes = KEPT_BYTES): Promise<void> {
    await this.#transaction(async () => {
      const present = "EXISTS (SELECT 1 FROM files WHERE content = contents.id)";
      const live = Number(this.#sql(`SELECT ifnull(sum(size), 0) AS n FROM contents WHERE ${present}`).get()?.n);
      const dead = this.#sql(`SELECT id, size FROM contents WHERE NOT ${present} ORDER BY used DESC, id DESC`).all();
      let kept = 0;
      for (const { id, size } of dead) {
        kept += Number(size);
        if (kept <= Math.max(keptBytes, live)) continue;
        this.#sql("DELETE FROM spans WHERE id >= ? AND id < ?").run(...rowsOf(Number(id)));
        this.#sql("DELETE FROM symbols WHERE content = ?").run(id);
        this.#sql("DELETE FROM contents WHERE id = ?").run(id);
      }
    });
  }

  /** Nothing else writes on this connection meanwhile. */
  async #transaction(work: () => Promise<void>): Promise<void> {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      await work();
      this.#database.exec("COMMIT");
    } catch (error) {
      // After some errors, a full disk among them, SQLite has rolled back by itself.
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  #sql(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (!statement) {
      statement = this.#database.prepare(text);
      this.#statements.set(text, statement);
    }
    return statement;
  }
}

/** The ids of the rows of one content or file: from the first up to but not including the second. */
function rowsOf(id: number): [number, number] {
  return [id * SPANS_PER_FILE, (id + 1) * SPANS_PER_FILE];
}

/** The number of the last span that begins at a line or before it. */
function spanAt(spans: readonly Span[], line: number): number {
  let low = 0;
  let high = spans.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (spans[middle].startLine <= line) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

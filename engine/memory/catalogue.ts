/**
 * The catalogue of a folder: its files, spans and symbols, and the lexical index over them, in one SQLite database.
 * Reading is safe while another process writes: each question sees the state after some whole batch.
 */
import { createHash } from "node:crypto";
import { realpathSync } from "node:fs";
import { join } from "node:path";
import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from "node:sqlite";
import { fileError } from "../errors.ts";
import { cacheDir } from "../paths.ts";
import { databaseError, databasePath, openDatabase, SPANS_PER_FILE, setAside } from "./catalogue-database.ts";
import type {
  CatalogueReader,
  CatalogueStats,
  FileHit,
  FileWeights,
  SpanHit,
  SpanWeights,
  StoredFile,
  StoredSpan,
  StoredSymbol,
} from "./catalogue-types.ts";

/** About how many bytes of source make one token. */
export const BYTES_PER_TOKEN = 3.5;

/** BM25 column weights: a name counts more than its use, a path word about as much as three words of the text. */
const SPAN_WEIGHTS: SpanWeights = { body: 1, symbol: 2, path: 1 };
const FILE_WEIGHTS: FileWeights = { body: 1, path: 3 };

type Row = Record<string, SQLOutputValue>;

/**
 * Where the catalogue of a folder lies in the user's cache: one place for each folder, whatever path leads to it.
 * @throws LongsightError where the folder is not there.
 */
export function catalogueDir(folder: string): string {
  let canonical: string;
  try {
    canonical = realpathSync.native(folder);
  } catch (error) {
    throw fileError(error, folder);
  }
  return join(cacheDir(), "index", createHash("sha256").update(canonical).digest("hex").slice(0, 32));
}

export class Catalogue implements CatalogueReader {
  #connection: DatabaseSync;
  readonly #dir: string;
  readonly #log: (line: string) => void;
  readonly #statements = new Map<string, StatementSync>();

  private constructor(dir: string, log: (line: string) => void) {
    this.#connection = openDatabase(dir, log);
    this.#dir = dir;
    this.#log = log;
  }

  /**
   * Opens the catalogue that lies in a folder of its own, an empty one where there is none or where it cannot be used;
   * `log` gets a line in the latter case.
   * @throws LongsightError where the folder cannot be written.
   */
  static open(dir: string, log: (line: string) => void = console.error): Catalogue {
    return new Catalogue(dir, log);
  }

  get database(): DatabaseSync {
    return this.#connection;
  }

  /** The database's file. */
  get path(): string {
    return databasePath(this.#dir);
  }

  /** Sets a database aside that turned out to be damaged, and goes on with an empty one. */
  rebuild(): void {
    this.close();
    this.#log(`The index at ${this.path} is damaged; it is built anew.`);
    setAside(this.path);
    this.#connection = openDatabase(this.#dir, this.#log);
  }

  close(): void {
    this.#statements.clear();
    if (this.#connection.isOpen) this.#connection.close();
  }

  searchSpans(terms: readonly string[], limit: number, weights: SpanWeights = SPAN_WEIGHTS): SpanHit[] {
    const { body, symbol, path } = weights;
    const score = "-bm25(span_terms, ?, ?, ?)";
    return this.#search("SELECT rowid AS id", "span_terms", score, [body, symbol, path], terms, limit).map((row) => ({
      spanId: Number(row.id),
      score: Number(row.score),
    }));
  }

  searchFiles(terms: readonly string[], limit: number, weights: FileWeights = FILE_WEIGHTS): FileHit[] {
    return this.#fileHits("file_terms", "-bm25(file_terms, ?, ?)", [weights.body, weights.path], terms, limit);
  }

  pathsMatching(terms: readonly string[], limit: number): FileHit[] {
    return this.#fileHits("path_terms", "-bm25(path_terms)", [], terms, limit);
  }

  #fileHits(table: string, score: string, weights: number[], terms: readonly string[], limit: number): FileHit[] {
    const select = `SELECT (SELECT path FROM files WHERE id = ${table}.rowid) AS path`;
    return this.#search(select, table, score, weights, terms, limit).map((row) => ({
      path: String(row.path),
      score: Number(row.score),
    }));
  }

  #search(
    select: string,
    table: string,
    score: string,
    weights: number[],
    terms: readonly string[],
    limit: number,
  ): Row[] {
    if (terms.length === 0) return [];
    const match = terms.map((term) => `"${term.replaceAll('"', '""')}"`).join(" OR ");
    return this.#all(
      `${select}, ${score} AS score FROM ${table} WHERE ${table} MATCH ? ORDER BY score DESC, rowid LIMIT ?`,
      ...weights,
      match,
      limit,
    );
  }

  symbolsNamed(names: readonly string[]): StoredSymbol[] {
    const rows = this.#all(
      `SELECT name, kind, container, signature, start_line, end_line, span, files.id AS file, path
       FROM symbols JOIN files ON files.content = symbols.content
       WHERE name IN (SELECT value FROM json_each(?)) ORDER BY path, start_line, symbols.rowid`,
      JSON.stringify(names),
    );
    return rows.map(storedSymbol);
  }

  /** Definitions whose names hold `part`, whatever the case: those that start with it first, then the short ones. */
  symbolsContaining(part: string, limit: number): StoredSymbol[] {
    const pattern = part.replaceAll(/[\\%_]/g, "\\$&");
    const rows = this.#all(
      `SELECT name, kind, container, signature, start_line, end_line, span, files.id AS file, path
       FROM symbols JOIN files ON files.content = symbols.content
       WHERE name LIKE ? ESCAPE '\\'
       ORDER BY name NOT LIKE ? ESCAPE '\\', length(name), name, path, start_line, symbols.rowid LIMIT ?`,
      `%${pattern}%`,
      `${pattern}%`,
      limit,
    );
    return rows.map(storedSymbol);
  }

  spanFrequency(terms: readonly string[]): Map<string, number> {
    const rows = this.#all(
      "SELECT term, doc FROM span_vocabulary WHERE term IN (SELECT value FROM json_each(?))",
      JSON.stringify(terms),
    );
    return new Map(rows.map((row) => [String(row.term), Number(row.doc)]));
  }

  span(id: number): StoredSpan | undefined {
    const file = Math.floor(id / SPANS_PER_FILE);
    return this.#spansWhere(
      "files.id = ? AND spans.id = content * ? + ?",
      file,
      SPANS_PER_FILE,
      id % SPANS_PER_FILE,
    )[0];
  }

  spans(ids: readonly number[]): StoredSpan[] {
    return ids.map((id) => this.span(id)).filter((span) => span !== undefined);
  }

  spansOf(path: string): StoredSpan[] {
    return this.#spansWhere("path = ?", path);
  }

  #spansWhere(condition: string, ...parameters: SQLInputValue[]): StoredSpan[] {
    const rows = this.#all(
      `SELECT files.id AS file, path, spans.* FROM files
       JOIN spans ON spans.id >= content * ${SPANS_PER_FILE} AND spans.id < (content + 1) * ${SPANS_PER_FILE}
       WHERE ${condition} ORDER BY spans.id`,
      ...parameters,
    );
    return rows.map(toSpan);
  }

  file(path: string): StoredFile | undefined {
    return this.#filesWhere("path = ?", path)[0];
  }

  files(): StoredFile[] {
    return this.#filesWhere("true");
  }

  #filesWhere(condition: string, ...parameters: SQLInputValue[]): StoredFile[] {
    const rows = this.#all(
      `SELECT path, files.size, language, lines, hash, ifnull(files.skipped, contents.skipped) AS reason
       FROM files LEFT JOIN contents ON contents.id = content WHERE ${condition} ORDER BY path`,
      ...parameters,
    );
    return rows.map((row) => ({
      path: String(row.path),
      sizeBytes: Number(row.size),
      language: row.language as string | null,
      nLines: Number(row.lines ?? 0),
      contentHash: row.hash as string | null,
      skipped: row.reason as string | null,
    }));
  }

  stats(): CatalogueStats {
    const reasons = this.#all(
      `SELECT ifnull(files.skipped, contents.skipped) AS reason, count(*) AS n, sum(files.size) AS size
       FROM files LEFT JOIN contents ON contents.id = content GROUP BY reason`,
    );
    const searched = reasons.find((row) => row.reason === null);
    const sizeBytes = Number(searched?.size ?? 0);
    const count = (sql: string) => Number(this.#all(sql)[0].n);
    return {
      nFiles: Number(searched?.n ?? 0),
      nSpans: count(
        `SELECT count(*) AS n FROM files JOIN spans
         ON spans.id >= content * ${SPANS_PER_FILE} AND spans.id < (content + 1) * ${SPANS_PER_FILE}`,
      ),
      nSymbols: count("SELECT count(*) AS n FROM files JOIN symbols ON symbols.content = files.content"),
      sizeBytes,
      nTokensAbout: Math.round(sizeBytes / BYTES_PER_TOKEN),
      skipped: Object.fromEntries(
        reasons.filter((row) => row.reason !== null).map((row) => [String(row.reason), Number(row.n)]),
      ),
    };
  }

  #all(sql: string, ...parameters: SQLInputValue[]): Row[] {
    try {
      let statement = this.#statements.get(sql);
      if (!statement) {
        statement = this.#connection.prepare(sql);
        this.#statements.set(sql, statement);
      }
      return statement.all(...parameters);
    } catch (error) {
      throw databaseError(error, this.path);
    }
  }
}

function toSpan(row: Row): StoredSpan {
  const text = String(row.text);
  const startLine = Number(row.start_line);
  const docText =
    row.doc_start === null
      ? ""
      : text
          .split("\n")
          .slice(Number(row.doc_start) - startLine, Number(row.doc_end) - startLine + 1)
          .join("\n");
  return {
    id: Number(row.file) * SPANS_PER_FILE + (Number(row.id) % SPANS_PER_FILE),
    file: String(row.path),
    startLine,
    endLine: Number(row.end_line),
    symbol: row.symbol as string | null,
    kind: row.kind as string | null,
    container: row.container as string | null,
    text,
    docText,
  };
}

function storedSymbol(row: Record<string, unknown>): StoredSymbol {
  return {
    name: String(row.name),
    kind: String(row.kind),
    container: row.container as string | null,
    signature: String(row.signature),
    file: String(row.path),
    startLine: Number(row.start_line),
    endLine: Number(row.end_line),
    spanId: Number(row.file) * SPANS_PER_FILE + Number(row.span),
  };
}

/** The database of the catalogue: its tables, opening it whatever state it is in, and what its errors mean to the user. */
import { mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileError, LongsightError } from "../errors.ts";

/** Raised whenever what is stored, or how it is cut or split into terms, changes. */
const SCHEMA_VERSION = 1;

/**
 * How long a process waits for another one's batch to be written. The engine says nothing meanwhile: much longer, and its
 * clients take it for lost.
 */
const BUSY_TIMEOUT_MS = 10_000;

/** A content or a file has fewer spans than this: a row's id is its owner's id times this plus the span's number. */
export const SPANS_PER_FILE = 2 ** 20;

/**
 * Contents are kept apart from the files that have them, so that a moved file or an earlier version that comes back
 * costs no parsing. The full-text tables hold the terms of present files only, which keeps BM25's statistics right;
 * their rows are numbered as the spans and files are. Terms come split and stemmed (terms.ts), separated by spaces.
 */
const SCHEMA = `
  CREATE TABLE contents(
    id INTEGER PRIMARY KEY, hash TEXT NOT NULL, language TEXT, skipped TEXT, size INTEGER NOT NULL,
    lines INTEGER NOT NULL, used INTEGER NOT NULL);
  CREATE UNIQUE INDEX contents_hash ON contents(hash, ifnull(language, ''));
  CREATE TABLE spans(
    id INTEGER PRIMARY KEY, start_line INTEGER NOT NULL, end_line INTEGER NOT NULL, symbol TEXT, kind TEXT,
    container TEXT, names TEXT NOT NULL, doc_start INTEGER, doc_end INTEGER, text TEXT NOT NULL);
  CREATE TABLE symbols(
    content INTEGER NOT NULL, name TEXT NOT NULL COLLATE NOCASE, kind TEXT NOT NULL, container TEXT,
    signature TEXT NOT NULL, start_line INTEGER NOT NULL, end_line INTEGER NOT NULL, span INTEGER NOT NULL);
  CREATE INDEX symbols_name ON symbols(name);
  CREATE INDEX symbols_content ON symbols(content);
  CREATE TABLE files(
    id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL UNIQUE, content INTEGER REFERENCES contents(id),
    size INTEGER NOT NULL, stamp TEXT NOT NULL, skipped TEXT);
  CREATE INDEX files_content ON files(content);
  CREATE VIRTUAL TABLE span_terms USING fts5(
    body, symbol, path, content='', contentless_delete=1, tokenize='ascii');
  CREATE VIRTUAL TABLE file_terms USING fts5(body, path, content='', contentless_delete=1, tokenize='ascii');
  CREATE VIRTUAL TABLE path_terms USING fts5(path, content='', contentless_delete=1, tokenize='ascii');
  CREATE VIRTUAL TABLE span_vocabulary USING fts5vocab(span_terms, row);
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/** The file of the catalogue in a folder. */
export function databasePath(folder: string): string {
  return join(folder, "catalogue.sqlite");
}

/**
 * Opens the catalogue's database in a folder, makes it where it is missing. One that is damaged or of another version is
 * set aside and started anew: everything in it can be read again from the files.
 * @throws LongsightError where the folder cannot be written.
 */
export function openDatabase(folder: string, log: (line: string) => void): DatabaseSync {
  const path = databasePath(folder);
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw fileError(error, folder);
  }
  try {
    const database = openOrCreate(path);
    if (database) return database;
    log(`The index at ${path} is of another version; it is built anew.`);
  } catch (error) {
    if (!isDamage(error)) throw databaseError(error, path);
    log(`The index at ${path} is damaged; it is built anew.`);
  }
  try {
    setAside(path);
    const database = openOrCreate(path);
    if (database) return database;
  } catch (error) {
    throw databaseError(error, path);
  }
  throw new LongsightError("no-access", `The index at ${path} cannot be replaced; delete its folder.`);
}

/** Undefined where the database is of another version. */
function openOrCreate(path: string): DatabaseSync | undefined {
  const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  try {
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -32768;");
    // Two processes may start at once: the second one finds the tables made.
    database.exec("BEGIN IMMEDIATE");
    const version = Number(database.prepare("PRAGMA user_version").get()?.user_version);
    const isEmpty = database.prepare("SELECT count(*) AS n FROM sqlite_schema").get()?.n === 0;
    if (version === 0 && isEmpty) database.exec(SCHEMA);
    else if (version !== SCHEMA_VERSION) {
      database.close();
      return undefined;
    }
    database.exec("COMMIT");
    return database;
  } catch (error) {
    if (database.isOpen) database.close();
    throw error;
  }
}

/** Renames a database, in place of one that was set aside before; its log of unfinished writes goes. */
export function setAside(path: string): void {
  for (const suffix of ["-wal", "-shm"]) rmSync(path + suffix, { force: true });
  renameSync(path, `${path}.old`);
}

/** SQLite's result codes, https://sqlite.org/rescode.html. */
const READONLY = 8;
const IOERR = 10;
const CORRUPT = 11;
const FULL = 13;
const CANTOPEN = 14;
const BUSY = 5;
const NOTADB = 26;

function resultCode(error: unknown): number {
  const code = (error as { errcode?: unknown } | null)?.errcode;
  return typeof code === "number" ? code & 0xff : 0;
}

/** Whether an error says that the database file is not what SQLite wrote. */
export function isDamage(error: unknown): boolean {
  return [CORRUPT, NOTADB].includes(resultCode(error));
}

/** Turns an error of the database at `path` into the user's sentence; other errors pass through unchanged. */
export function databaseError(error: unknown, path: string): unknown {
  const options = { cause: error };
  switch (resultCode(error)) {
    case FULL:
      return new LongsightError(
        "disk-full",
        `The disk is full while writing ${path}; free space and index again.`,
        options,
      );
    case READONLY:
    case CANTOPEN:
      return new LongsightError("no-access", `The index at ${path} cannot be written; check its permissions.`, options);
    case BUSY:
      return new LongsightError(
        "no-access",
        `Another process holds the index at ${path}; wait for it or end it.`,
        options,
      );
    case IOERR:
      return new LongsightError("no-access", `The disk failed while using the index at ${path}; check it.`, options);
    case CORRUPT:
    case NOTADB:
      return new LongsightError("no-access", `The index at ${path} is damaged; index again to rebuild it.`, options);
    default:
      return error;
  }
}

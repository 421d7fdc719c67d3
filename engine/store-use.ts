/**
 * Who uses the stores: every engine process as long as it lives, whichever window it belongs to, so that they can be cleared
 * while nobody does. Two empty databases beside the cache folder are locked, by SQLite because the system frees its locks
 * however a process ends: `-use` is shared by all who use the stores, and taken whole by the one who clears them; `-clearing`
 * is held by that one from before, which the others notice, and leave.
 */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { LongsightError } from "./errors.ts";

/** How often a process looks whether it has to leave. */
const LOOK_MS = 1000;
const RETRY_MS = 20;

/** How long the others may take to leave, in ms: what they do ends with the current run of a model. */
const LEAVING_MS = 10_000;

const SQLITE_BUSY = 5;

export interface StoreUseOptions {
  /** Called once when another process wants to clear the stores: it waits until this one has ended or called `end`. */
  readonly onClearing: () => void;
  readonly leavingMs?: number;
}

export class StoreUse {
  readonly #use: DatabaseSync | undefined;
  readonly #clearing: DatabaseSync | undefined;
  readonly #leavingMs: number;
  readonly #look: NodeJS.Timeout;

  /**
   * Begins to use the stores, as soon as nobody clears them. Where no lock can be had, because nothing can be written there
   * or the disk knows none, there is none.
   */
  static async begin(cacheFolder: string, options: StoreUseOptions): Promise<StoreUse> {
    let databases: { use: DatabaseSync; clearing: DatabaseSync } | undefined;
    try {
      mkdirSync(dirname(cacheFolder), { recursive: true });
      databases = {
        use: new DatabaseSync(`${cacheFolder}-use`),
        clearing: new DatabaseSync(`${cacheFolder}-clearing`),
      };
      while (!(isFree(databases.clearing) && locked(databases.use, SHARED))) {
        await delay(RETRY_MS);
      }
      return new StoreUse(databases, options);
    } catch {
      for (const database of Object.values(databases ?? {})) database.close();
      return new StoreUse(undefined, options);
    }
  }

  private constructor(
    databases: { use: DatabaseSync; clearing: DatabaseSync } | undefined,
    { onClearing, leavingMs = LEAVING_MS }: StoreUseOptions,
  ) {
    this.#use = databases?.use;
    this.#clearing = databases?.clearing;
    this.#leavingMs = leavingMs;
    this.#look = setInterval(() => {
      if (!this.#clearing || isFree(this.#clearing)) return;
      clearInterval(this.#look);
      onClearing();
    }, LOOK_MS).unref();
  }

  /** Has all others leave, and new ones wait. Errors: no-access where another process is about to clear the stores. */
  announce(): void {
    clearInterval(this.#look);
    if (!this.#clearing || locked(this.#clearing, WHOLE)) return;
    throw new LongsightError("no-access", "The stores are being deleted by another window already; wait for it.");
  }

  /**
   * Waits until nobody else uses the stores, from when on this process has them alone. Errors: no-access where somebody does
   * not leave.
   */
  async alone(): Promise<void> {
    if (!this.#use) return;
    this.#use.exec("COMMIT");
    const endMs = performance.now() + this.#leavingMs;
    while (!locked(this.#use, WHOLE)) {
      if (performance.now() > endMs) {
        throw new LongsightError("no-access", "Another window still uses the stores; close it and try again.");
      }
      await delay(RETRY_MS);
    }
  }

  /** Leaves the stores to others. */
  end(): void {
    clearInterval(this.#look);
    for (const database of [this.#use, this.#clearing]) if (database?.isOpen) database.close();
  }
}

const READ = "SELECT * FROM sqlite_schema";
const SHARED = `BEGIN; ${READ}`;
/** Nothing is ever written, so there is nothing to be put back from a journal's file. */
const WHOLE = "PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE";

const isFree = (database: DatabaseSync) => locked(database, READ);

/** Runs what takes a lock; false where somebody else has it. */
function locked(database: DatabaseSync, sql: string): boolean {
  try {
    database.exec(sql);
    return true;
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK");
    if ((error as { errcode?: unknown }).errcode === SQLITE_BUSY) return false;
    throw error;
  }
}

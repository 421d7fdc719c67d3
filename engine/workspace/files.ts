/** The files of a folder as git sees them: what it ignores is left out, whatever else is not listed is named with its reason. */
import { type Dirent, lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { fileError, LongsightError } from "../errors.ts";
import { type SkipReason, skippedByName } from "./content.ts";
import { isRepositoryRoot } from "./git.ts";
import { IgnoreScope } from "./ignore.ts";

/** Larger files are data, logs or bundles. */
export const MAX_FILE_BYTES = 1024 * 1024;

export interface ListedFile {
  /** Path below the folder, with forward slashes. */
  readonly path: string;
  readonly skipped: SkipReason | null;
  readonly sizeBytes: number;
  /** Changes whenever the file does: size, times of change in ns, inode. Empty where that cannot be told. */
  readonly stamp: string;
}

/** The event loop gets a turn after this long. */
const SLICE_MS = 10;

interface PendingFolder {
  readonly path: string;
  readonly prefix: string;
  readonly scope: (entries: readonly Dirent[]) => IgnoreScope;
}

/**
 * Lists a folder: its files in the order of their names, then its folders in the same way. `.git` and ignored entries
 * are left out; symbolic links and what cannot be read are listed as skipped. Files of nested repositories and
 * submodules are listed: they are as much in front of the user as the rest.
 * @throws LongsightError where the folder itself is not there or may not be read, and where `signal` is aborted.
 */
export async function* listFiles(folder: string, signal?: AbortSignal): AsyncGenerator<ListedFile> {
  const pending: PendingFolder[] = [{ path: folder, prefix: "", scope: () => IgnoreScope.of(folder) }];
  let sliceEnd = performance.now() + SLICE_MS;
  for (let next = pending.pop(); next; next = pending.pop()) {
    const { files, folders } = listOne(next);
    for (const file of files) {
      if (performance.now() > sliceEnd) {
        await setImmediate();
        sliceEnd = performance.now() + SLICE_MS;
      }
      if (signal?.aborted) throw new LongsightError("cancelled", "Listing the files was cancelled.");
      yield file;
    }
    pending.push(...folders.reverse());
  }
}

/** One folder: its files, lazily, and the folders to list next. */
function listOne({ path, prefix, scope }: PendingFolder): { files: Iterable<ListedFile>; folders: PendingFolder[] } {
  let entries: Dirent[];
  try {
    entries = readdirSync(path, { withFileTypes: true });
  } catch (error) {
    if (prefix === "") throw fileError(error, path);
    // A folder that went away while its parent was being listed has no files.
    return { files: isGone(error) ? [] : [skip(prefix.slice(0, -1), "unreadable")], folders: [] };
  }
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  const rules = scope(entries);
  const kept = entries.filter((entry) => entry.name !== ".git" && !rules.ignores(entry.name, entry.isDirectory()));
  const folders = kept
    .filter((entry) => entry.isDirectory())
    .map((entry): PendingFolder => {
      const inside = join(path, entry.name);
      const isRepository = (names: readonly Dirent[]) =>
        names.some(({ name }) => name === ".git") && isRepositoryRoot(inside);
      return {
        path: inside,
        prefix: `${prefix}${entry.name}/`,
        scope: (names) => rules.enter(entry.name, inside, isRepository(names)),
      };
    });
  return { files: describeAll(kept, path, prefix), folders };
}

function* describeAll(entries: readonly Dirent[], folder: string, prefix: string): Iterable<ListedFile> {
  for (const entry of entries) {
    if (entry.isDirectory()) continue;
    const file = describe(entry, folder, prefix);
    if (file) yield file;
  }
}

function describe(entry: Dirent, folder: string, prefix: string): ListedFile | undefined {
  const path = prefix + entry.name;
  if (entry.isSymbolicLink()) return skip(path, "symlink");
  if (!entry.isFile()) return skip(path, "special");
  try {
    const stat = lstatSync(join(folder, entry.name), { bigint: true });
    const sizeBytes = Number(stat.size);
    const skipped = sizeBytes > MAX_FILE_BYTES ? "oversized" : skippedByName(path);
    return { path, skipped, sizeBytes, stamp: `${stat.size} ${stat.mtimeNs} ${stat.ctimeNs} ${stat.ino}` };
  } catch (error) {
    // A name that is not UTF-8 cannot be asked for again; any other file that is not there has just gone.
    return isGone(error) && !path.includes("\ufffd") ? undefined : skip(path, "unreadable");
  }
}

function skip(path: string, reason: SkipReason): ListedFile {
  return { path, skipped: reason, sizeBytes: 0, stamp: "" };
}

function isGone(error: unknown): boolean {
  return (error as { code?: unknown }).code === "ENOENT";
}

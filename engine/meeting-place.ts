/**
 * Where the windows of a user find their common engine: a socket in a folder that nobody else may enter, on Windows a
 * named pipe whose name nobody else can know. Its name stands for a build of the engine and the store it works on, so
 * windows with different ones do not meet.
 */
import { createHash, randomBytes } from "node:crypto";
import { lstatSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { fileError, LongsightError } from "./errors.ts";

export interface MeetingPlace {
  /** The private folder. */
  readonly folder: string;
  /** The socket's path or the pipe's name. */
  readonly address: string;
  /** The file that the one engine holds locked. */
  readonly lock: string;
  /** What the engine says on stderr, which is little but its last words. */
  readonly log: string;
}

/** The longest path that every system's sockaddr_un has room for, in bytes; macOS has the smallest. */
const MAX_SOCKET_PATH = 103;

/**
 * The meeting place of all who run this script on this store; the folder is made.
 * @param parent where the private folder lies.
 * Errors: no-access where it cannot be private; unsupported where the path is too long for a socket; not-found.
 */
export function meetingPlace(
  script: string,
  cacheFolder: string,
  parent = process.env.XDG_RUNTIME_DIR ?? tmpdir(),
): MeetingPlace {
  const folder = join(parent, `longsight-${process.getuid?.() ?? userInfo().username}`);
  makePrivate(folder);
  const key = createHash("sha256")
    .update(JSON.stringify([script, buildOf(script), cacheFolder]))
    .digest("hex")
    .slice(0, 16);
  const path = join(folder, key);
  const address = process.platform === "win32" ? pipeName(folder, key) : `${path}.socket`;
  if (process.platform !== "win32" && Buffer.byteLength(address) > MAX_SOCKET_PATH) {
    throw new LongsightError(
      "unsupported",
      `${address} is too long for a socket; set XDG_RUNTIME_DIR to a shorter path.`,
    );
  }
  return { folder, address, lock: `${path}.lock`, log: `${path}.log` };
}

/** Changes whenever another build is installed at the same path. */
function buildOf(script: string): string {
  try {
    const { mtimeMs, size, ino } = statSync(script);
    return `${mtimeMs} ${size} ${ino}`;
  } catch (error) {
    throw fileError(error, script);
  }
}

/** Whoever may write into the folder could stand in for the engine, and whoever may enter it could ask it. */
function makePrivate(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const stat = lstatSync(folder);
    const isOwn = process.getuid === undefined || (stat.uid === process.getuid() && (stat.mode & 0o077) === 0);
    if (stat.isDirectory() && isOwn) return;
  } catch (error) {
    throw fileError(error, folder);
  }
  throw new LongsightError("no-access", `${folder} is not a folder of this user alone; remove it.`);
}

/** Pipes lie in a space of names that all users share: a part of the name is kept in the private folder. */
function pipeName(folder: string, key: string): string {
  const file = join(folder, "pipe");
  try {
    writeFileSync(file, randomBytes(16).toString("hex"), { flag: "wx" });
  } catch (error) {
    if ((error as { code?: unknown }).code !== "EEXIST") throw fileError(error, file);
  }
  return `\\\\.\\pipe\\longsight-${readFileSync(file, "utf8")}-${key}`;
}

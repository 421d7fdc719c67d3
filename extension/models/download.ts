/** Downloads a model file because the user has asked for it: resumed where it stopped, checked, and only then named. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, rename, rm, stat, statfs } from "node:fs/promises";
import { basename, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { LongsightError } from "../../engine/errors.ts";
import { sizeText } from "../../webview/amounts.ts";

export interface Download {
  readonly url: string;
  /** Where the file goes; made where it is not there. */
  readonly folder: string;
  /** The file's SHA-256 in hex; undefined where the user has none to compare with. */
  readonly sha256?: string;
  readonly signal?: AbortSignal;
  /** Bytes so far, of all; null while it is not known. */
  readonly onProgress?: (done: number, total: number | null) => void;
}

/** What stays free on the disk. */
const SPARE_BYTES = 1024 ** 3;

/** The name a URL's file gets; undefined for a URL that names no GGUF file. */
export function fileNameOf(url: string): string | undefined {
  if (!URL.canParse(url)) return undefined;
  const { protocol, hostname, pathname } = new URL(url);
  const isLocal = hostname === "127.0.0.1" || hostname === "localhost";
  const name = basename(decodeURIComponent(pathname));
  return (protocol === "https:" || (protocol === "http:" && isLocal)) && /^[\w.-]+\.gguf$/i.test(name)
    ? name
    : undefined;
}

/**
 * Downloads a file; returns its path. What a cancelled or broken download has brought stays and is not fetched again.
 * Errors: bad-input for a server that refuses or another file than the checksum is of; disk-full; cancelled.
 */
export async function download({ url, folder, sha256, signal, onProgress }: Download): Promise<string> {
  const name = fileNameOf(url);
  if (!name) throw new LongsightError("bad-input", "This is not the https address of a GGUF file; check it.");
  const path = join(folder, name);
  const part = `${path}.part`;
  await mkdir(folder, { recursive: true });
  try {
    const have = await sizeOf(part);
    const response = await fetch(url, { headers: have > 0 ? { range: `bytes=${have}-` } : {}, signal });
    // 416: all of it is here already.
    if (response.status !== 416) await store(response, { part, have, url, folder, onProgress });
  } catch (error) {
    throw signal?.aborted ? new LongsightError("cancelled", "Cancelled.") : asSentence(error, url);
  }
  const found = await hashOf(part);
  if (sha256 && found !== sha256.toLowerCase()) {
    await rm(part, { force: true });
    throw new LongsightError(
      "bad-input",
      `${name} is not the file the checksum is of (it has ${found}); it was deleted.`,
    );
  }
  await rename(part, path);
  return path;
}

async function store(
  response: Response,
  to: Pick<Download, "url" | "folder" | "onProgress"> & { part: string; have: number },
): Promise<void> {
  if (!response.ok || !response.body) {
    throw new LongsightError(
      "bad-input",
      `The server refuses ${to.url} with status ${response.status}; check the address.`,
    );
  }
  // A server that does not resume sends everything again.
  const isResumed = response.status === 206;
  let done = isResumed ? to.have : 0;
  const length = Number(response.headers.get("content-length"));
  const total = length > 0 ? done + length : null;
  await requireRoom(to.folder, length);
  const file = await open(to.part, isResumed ? "a" : "w");
  try {
    for await (const chunk of response.body) {
      await file.write(chunk);
      done += chunk.length;
      to.onProgress?.(done, total);
    }
  } finally {
    await file.close();
  }
  if (total !== null && done !== total) {
    throw new LongsightError(
      "bad-input",
      `The server broke off after ${sizeText(done)}; try again, it goes on from there.`,
    );
  }
}

async function requireRoom(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  if (bytes + SPARE_BYTES <= bavail * bsize) return;
  const sentence = `The file takes ${sizeText(bytes)}, ${sizeText(bavail * bsize)} are free in ${folder}; free space and try again.`;
  throw new LongsightError("disk-full", sentence);
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

function asSentence(error: unknown, url: string): unknown {
  if (error instanceof LongsightError) return error;
  const { code, cause, message } = error as { code?: string; cause?: { code?: string }; message?: string };
  if (code === "ENOSPC") return new LongsightError("disk-full", "The disk is full; free space and try again.");
  return new LongsightError(
    "bad-input",
    `${url} cannot be fetched (${cause?.code ?? code ?? message}); try again, it goes on where it stopped.`,
  );
}

/** Downloads a model file because the user has asked for it: resumed where it stopped, checked, and only then named. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readFile, rename, rm, stat, statfs, writeFile } from "node:fs/promises";
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
  const address = new URL(url);
  // Where it is encoded it is no such name either.
  const name = basename(address.pathname);
  return isSafe(address) && /^[\w.-]+\.gguf$/i.test(name) ? name : undefined;
}

/** Whether nobody on the way can change what an address gives. */
function isSafe({ protocol, hostname }: URL): boolean {
  return protocol === "https:" || (protocol === "http:" && (hostname === "127.0.0.1" || hostname === "localhost"));
}

/**
 * Downloads a file; returns its path. What a cancelled or broken download has brought stays and is not fetched again, as
 * long as the server says that its file is the same.
 * Errors: bad-input for a server that refuses or another file than the checksum is of; disk-full; cancelled.
 */
export async function download({ url, folder, sha256, signal, onProgress }: Download): Promise<string> {
  const name = fileNameOf(url);
  if (!name) throw new LongsightError("bad-input", "This is not the https address of a GGUF file; check it.");
  const path = join(folder, name);
  const part = `${path}.part`;
  await mkdir(folder, { recursive: true });
  let found: string;
  try {
    const response = await ask(url, part, signal);
    if (response) await store(response, { part, url, folder, onProgress });
    found = await hashOf(part, signal);
  } catch (error) {
    if (signal?.aborted) throw new LongsightError("cancelled", "Cancelled.");
    throw asSentence(error, url, (await sizeOf(versionOf(part))) > 0);
  }
  if (sha256 && found !== sha256.toLowerCase()) {
    await discard(part);
    throw new LongsightError(
      "bad-input",
      `${name} is not the file the checksum is of (it has ${found}); it was deleted.`,
    );
  }
  await rename(part, path);
  await discard(part);
  return path;
}

/** Asks for what is missing of a file; undefined where nothing is. */
async function ask(url: string, part: string, signal: AbortSignal | undefined): Promise<Response | undefined> {
  const version = await readFile(versionOf(part), "utf8").catch(() => "");
  // Whether what is here belongs to the file that is there now, only the server can tell.
  const have = version === "" ? 0 : await sizeOf(part);
  // A compressed answer would have another length, and no place to go on from.
  const headers = { "accept-encoding": "identity" };
  const resuming = have > 0 ? { range: `bytes=${have}-`, "if-range": version } : {};
  const response = await fetch(url, { headers: { ...headers, ...resuming }, signal });
  const { start, total } = rangeIn(response.headers);
  const isSame = (versionIn(response.headers) ?? version) === version;
  if (response.status === 206 && start === have && isSame) return response;
  if (response.status === 416 && total === have && have > 0) {
    await response.body?.cancel();
    return undefined;
  }
  if (have === 0 || (response.status !== 206 && response.status !== 416)) return response;
  // Not what was asked for: what is here is no part of that file.
  await response.body?.cancel();
  await discard(part);
  return fetch(url, { headers, signal });
}

async function store(
  response: Response,
  to: Pick<Download, "url" | "folder" | "onProgress"> & { part: string },
): Promise<void> {
  if (!isSafe(new URL(response.url))) {
    await response.body?.cancel();
    throw new LongsightError(
      "bad-input",
      `${to.url} leads to ${new URL(response.url).origin}, which is not https; ask for another address.`,
    );
  }
  if (!response.ok || !response.body) {
    throw new LongsightError(
      "bad-input",
      `The server refuses ${to.url} with status ${response.status}; check the address.`,
    );
  }
  const isResumed = response.status === 206;
  let done = isResumed ? rangeIn(response.headers).start : 0;
  const length = Number(response.headers.get("content-length"));
  const total = length > 0 ? done + length : null;
  await requireRoom(to.folder, length);
  if (!isResumed) await discard(to.part);
  const version = versionIn(response.headers);
  if (version) await writeFile(versionOf(to.part), version);
  const file = await open(to.part, isResumed ? "a" : "w");
  try {
    for await (const chunk of response.body) {
      if ((await file.stat()).size !== done) {
        throw new LongsightError("bad-input", "Another window is downloading this file; wait until it has it.");
      }
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
      `The server broke off after ${sizeText(done)}; try again, it ${version ? "goes on from there" : "begins anew"}.`,
    );
  }
}

/** Where it is noted which version of a file has partly arrived. */
const versionOf = (part: string) => `${part}.version`;

/** Where a part begins, and how long the whole file is; NaN where it is not said. */
function rangeIn(headers: Headers): { start: number; total: number } {
  const range = /^bytes (?:(\d+)-\d+|\*)\/(\d+|\*)$/.exec(headers.get("content-range") ?? "");
  return { start: Number(range?.[1]), total: Number(range?.[2]) };
}

/** What tells a file from a later one of the same name, as `if-range` takes it; a weak tag does not. */
function versionIn(headers: Headers): string | undefined {
  const tag = headers.get("etag");
  return (tag && !tag.startsWith("W/") ? tag : headers.get("last-modified")) ?? undefined;
}

/** Deletes what has arrived of a file. */
async function discard(part: string): Promise<void> {
  await rm(part, { force: true });
  await rm(versionOf(part), { force: true });
}

async function requireRoom(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  if (bytes + SPARE_BYTES <= bavail * bsize) return;
  const sentence = `The file takes ${sizeText(bytes)}, ${sizeText(bavail * bsize)} are free in ${folder}; free space and try again.`;
  throw new LongsightError("disk-full", sentence);
}

async function hashOf(path: string, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash, { signal });
  return hash.digest("hex");
}

function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

function asSentence(error: unknown, url: string, goesOn: boolean): unknown {
  if (error instanceof LongsightError) return error;
  const { code, cause, message } = error as { code?: string; cause?: { code?: string }; message?: string };
  if (code === "ENOSPC") return new LongsightError("disk-full", "The disk is full; free space and try again.");
  return new LongsightError(
    "bad-input",
    `${url} cannot be fetched (${cause?.code ?? code ?? message}); try again, it ${goesOn ? "goes on where it stopped" : "begins anew"}.`,
  );
}

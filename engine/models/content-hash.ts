/** The SHA-256 of a model's content, remembered so that gigabytes are read for it only once. */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, realpathSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { cacheDir } from "../paths.ts";
import { ByteFile } from "./files/byte-file.ts";
import { type ModelWork, megabytes } from "./model-work.ts";
import { temporaryName } from "./temporary-file.ts";

const PIECE_BYTES = 8 << 20;

/** A file changed within this time may change again without a new time stamp, so its hash is not remembered yet. */
const SETTLE_MS = 2000;

/** Hashes files in the given order, one after another; yields to other work between pieces. */
export async function contentHash(paths: readonly string[], { onProgress, signal }: ModelWork = {}): Promise<string> {
  const all = createHash("sha256");
  const sizes = paths.map((path) => statSync(path).size);
  const total = megabytes(sizes.reduce((sum, size) => sum + size, 0));
  let doneBytes = 0;
  const onBytes = (bytes: number) => {
    signal?.throwIfAborted();
    doneBytes += bytes;
    onProgress?.({ phase: "reading the model", done: megabytes(doneBytes), total });
  };
  for (const path of paths) all.update(await fileHash(path, onBytes));
  return all.digest("hex");
}

/**
 * Remembers a hash under the file's size, times, device and inode. That is safe because any write sets ctime, which
 * programs cannot set back, and a replaced file has another inode; whatever differs only costs reading the file again.
 */
async function fileHash(path: string, onBytes: (bytes: number) => void): Promise<string> {
  const identity = identityOf(path);
  const memo = join(cacheDir(), "weights", "hashes", createHash("sha256").update(realpathSync(path)).digest("hex"));
  const known = readMemo(memo, identity);
  if (known) return known;
  const hash = await readHash(path, onBytes);
  const settled = Date.now() - Number(statSync(path).ctimeMs) > SETTLE_MS;
  if (settled && identityOf(path) === identity) writeMemo(memo, `${identity} ${hash}\n`);
  return hash;
}

function identityOf(path: string): string {
  const { size, mtimeNs, ctimeNs, dev, ino } = statSync(path, { bigint: true });
  return [size, mtimeNs, ctimeNs, dev, ino].join(" ");
}

function readMemo(memo: string, identity: string): string | undefined {
  try {
    const text = readFileSync(memo, "utf8");
    const hash = text.slice(identity.length + 1, -1);
    return text.startsWith(`${identity} `) && /^[0-9a-f]{64}$/.test(hash) ? hash : undefined;
  } catch {
    return undefined;
  }
}

function writeMemo(memo: string, text: string): void {
  const temporary = temporaryName(memo);
  try {
    mkdirSync(dirname(memo), { recursive: true });
    writeFileSync(temporary, text);
    renameSync(temporary, memo);
  } catch {
    // Only a shortcut is lost: the next start hashes again.
  }
}

async function readHash(path: string, onBytes: (bytes: number) => void): Promise<string> {
  const file = new ByteFile(path);
  try {
    const hash = createHash("sha256");
    const piece = new Uint8Array(Math.min(PIECE_BYTES, file.sizeBytes));
    for (let offset = 0; offset < file.sizeBytes; offset += PIECE_BYTES) {
      const bytes = piece.subarray(0, Math.min(PIECE_BYTES, file.sizeBytes - offset));
      file.readInto(bytes, offset);
      hash.update(bytes);
      await setImmediate();
      onBytes(bytes.length);
    }
    return hash.digest("hex");
  } finally {
    file.close();
  }
}

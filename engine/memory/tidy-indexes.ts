/** Indexes of folders that nobody opens any more are removed once all together take much: each can be made again. */
import { readdirSync, rmSync, statSync, utimesSync } from "node:fs";
import { dirname, join } from "node:path";

/** About a hundred million tokens. */
const QUOTA_BYTES = 2 * 2 ** 30;
/** What was used since then stays, however much it is: it is somebody's daily work. */
const UNUSED_MS = 30 * 24 * 3_600_000;

/**
 * Marks the index in folder `dir` as just used, and removes those beside it that are unused for longest while all take more
 * than the quota. What another process has open on Windows stays until the next time.
 */
export function tidyIndexes(dir: string, { quotaBytes = QUOTA_BYTES, nowMs = Date.now() } = {}): void {
  try {
    utimesSync(dir, nowMs / 1000, nowMs / 1000);
    const indexes = readdirSync(dirname(dir), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => join(dirname(dir), name))
      .map((path) => ({ path, sizeBytes: sizeOf(path), usedMs: statSync(path).mtimeMs }))
      .sort((a, b) => a.usedMs - b.usedMs);
    let size = indexes.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    for (const { path, sizeBytes, usedMs } of indexes) {
      if (size <= quotaBytes || nowMs - usedMs < UNUSED_MS) break;
      rmSync(path, { recursive: true, force: true });
      size -= sizeBytes;
    }
  } catch (error) {
    // Nothing that an index needs failed: another process has tidied up at the same time, or has it open.
    console.warn(`Unused indexes were not removed: ${(error as Error).message}`);
  }
}

const sizeOf = (dir: string) => readdirSync(dir).reduce((sum, name) => sum + statSync(join(dir, name)).size, 0);

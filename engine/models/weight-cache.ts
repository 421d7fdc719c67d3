/** The folder of converted weights holds the models used last: each is as large as its model, and can be made again. */
import { readdirSync, rmSync, statSync, utimesSync } from "node:fs";
import { dirname, join } from "node:path";

/** Enough to go back and forth between models; the fifth pushes out the one unused for longest. */
const MAX_MODELS = 4;

/**
 * Marks the weights at `path` as just used and removes those unused for longest beyond the most that are kept. What
 * cannot be removed, since another process has it open on Windows, stays until the next time.
 */
export function keepRecent(path: string, nowMs = Date.now()): void {
  try {
    utimesSync(path, nowMs / 1000, nowMs / 1000);
    const dir = dirname(path);
    const all = readdirSync(dir)
      .filter((name) => name.endsWith(".weights"))
      .map((name) => ({ path: join(dir, name), usedMs: statSync(join(dir, name)).mtimeMs }))
      .sort((a, b) => b.usedMs - a.usedMs);
    for (const old of all.slice(MAX_MODELS)) rmSync(old.path, { force: true });
  } catch (error) {
    // Nothing that a model needs failed: another process has tidied up at the same time, or the folder is read-only.
    console.warn(`The cache of converted weights was not tidied: ${(error as Error).message}`);
  }
}

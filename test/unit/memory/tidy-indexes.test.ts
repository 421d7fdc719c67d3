import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { tidyIndexes } from "../../../engine/memory/tidy-indexes.ts";

const DAY_MS = 24 * 3_600_000;
const NOW_MS = Date.UTC(2026, 5, 1);

/** Indexes of 100 bytes each, by how many days ago they were used. */
function indexesUsed(context: TestContext, daysAgo: readonly number[]): string[] {
  const base = mkdtempSync(join(tmpdir(), "longsight-indexes-"));
  context.after(() => rmSync(base, { recursive: true }));
  return daysAgo.map((days, i) => {
    const dir = join(base, String(i));
    mkdirSync(dir);
    writeFileSync(join(dir, "catalogue.sqlite"), "x".repeat(100));
    const used = (NOW_MS - days * DAY_MS) / 1000;
    utimesSync(dir, used, used);
    return dir;
  });
}

test("indexes that are unused for longest go while all take more than the quota, those used lately never", (context) => {
  const dirs = indexesUsed(context, [100, 40, 60, 10, 50]);
  tidyIndexes(dirs[1], { quotaBytes: 250, nowMs: NOW_MS });
  // The first two gone leave 300 bytes, and only one more is old enough.
  assert.deepEqual(dirs.map(existsSync), [false, true, false, true, false]);
  assert.equal(statSync(dirs[1]).mtimeMs, NOW_MS, "it was just used");
  tidyIndexes(dirs[3], { quotaBytes: 1, nowMs: NOW_MS });
  assert.deepEqual(dirs.map(existsSync), [false, true, false, true, false]);
});

test("within the quota all stay, and what cannot be tidied fails nothing", (context) => {
  const dirs = indexesUsed(context, [100, 40]);
  tidyIndexes(dirs[1], { quotaBytes: 200, nowMs: NOW_MS });
  assert.deepEqual(dirs.map(existsSync), [true, true]);
  context.mock.method(console, "warn", () => {});
  tidyIndexes(join(dirs[0], "gone"));
});

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readReading, writeReading } from "../../../engine/runtime/reading.ts";

test("what a check has found is there again, and what cannot be read counts as not found", (context) => {
  const dir = mkdtempSync(join(tmpdir(), "longsight-reading-"));
  context.after(() => rmSync(dir, { recursive: true }));
  process.env.LONGSIGHT_CACHE = dir;
  assert.equal(readReading("abc"), undefined);
  writeReading("abc", { way: "memory", plan: "balanced" });
  assert.deepEqual(readReading("abc"), { way: "memory", plan: "balanced", isChecked: true });
  assert.equal(readReading("abd"), undefined);
  mkdirSync(join(dir, "checks"), { recursive: true });
  for (const text of ["{", "null", '{"way":"memory","plan":"other"}', '{"way":"toString","plan":"exact"}']) {
    writeFileSync(join(dir, "checks", "abc.reading.json"), text);
    assert.equal(readReading("abc"), undefined, text);
  }
});

/** The folder of converted weights does not grow with every model that was tried. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { keepRecent } from "../../../engine/models/weight-cache.ts";

test("the four models used last stay, whatever else lies in the folder", (t) => {
  const dir = mkdtempSync(join(tmpdir(), "longsight-weights-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const use = (name: string, atMs: number) => {
    writeFileSync(join(dir, name), "w");
    keepRecent(join(dir, name), atMs);
  };
  writeFileSync(join(dir, "note.txt"), "kept");
  for (const [i, name] of ["a", "b", "c", "d"].entries()) use(`${name}.weights`, 1e12 + i * 1000);
  use("a.weights", 1e12 + 5000);
  assert.equal(readdirSync(dir).length, 5);
  use("e.weights", 1e12 + 6000);
  assert.deepEqual(readdirSync(dir).sort(), ["a.weights", "c.weights", "d.weights", "e.weights", "note.txt"]);
});

test("a folder that is not there is no reason to fail", (t) => {
  const warn = t.mock.method(console, "warn", () => {});
  keepRecent(join(tmpdir(), "longsight-nowhere", "a.weights"));
  assert.equal(warn.mock.callCount(), 1);
});

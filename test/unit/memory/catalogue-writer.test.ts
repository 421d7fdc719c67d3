import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Catalogue } from "../../../engine/memory/catalogue.ts";
import { CatalogueWriter, type FileChange } from "../../../engine/memory/catalogue-writer.ts";

const changeOf = (path: string): FileChange => ({
  path,
  sizeBytes: 1,
  stamp: path,
  skipped: null,
  content: { hash: path, language: null, cut: { spans: [], symbols: [], nLines: 0 }, skipped: null },
});

test("a batch ends behind the file in whose place something is to go first, and what is written is there for all", async (context) => {
  const dir = mkdtempSync(join(tmpdir(), "longsight-catalogue-"));
  const [catalogue, other] = [Catalogue.open(dir), Catalogue.open(dir)];
  context.after(() => {
    catalogue.close();
    other.close();
    rmSync(dir, { recursive: true });
  });
  const writer = new CatalogueWriter(catalogue.database);
  const paths = () => other.files().map(({ path }) => path);
  const changes = ["a", "b", "c"].map(changeOf);
  assert.equal(await writer.put(changes, { isUrgent: true }), 1);
  assert.deepEqual(paths(), ["a"]);
  assert.equal(await writer.put(changes.slice(1), { isUrgent: false }), 2);
  assert.deepEqual(paths(), ["a", "b", "c"]);
  await writer.remove(["a", "c"]);
  assert.deepEqual(paths(), ["b"]);
});

test("what is known of more files than are read at a stretch is all there", async (context) => {
  const dir = mkdtempSync(join(tmpdir(), "longsight-catalogue-"));
  const catalogue = Catalogue.open(dir);
  context.after(() => {
    catalogue.close();
    rmSync(dir, { recursive: true });
  });
  const writer = new CatalogueWriter(catalogue.database);
  const paths = Array.from({ length: 4000 }, (_, i) => `src/${i}.ts`);
  await writer.put(
    paths.map((path) => ({ ...changeOf(path), content: null, skipped: "binary" })),
    { isUrgent: false },
  );
  let nRests = 0;
  const known = await writer.knownFiles(async () => void nRests++);
  assert.deepEqual([...known.keys()].sort(), paths.sort());
  assert.equal(nRests, 2);
});

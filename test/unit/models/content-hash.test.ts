import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { contentHash } from "../../../engine/models/content-hash.ts";
import { temporaryCache } from "./small-model.ts";

const sha256 = (...parts: (string | Buffer)[]) => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
};

/** A file that counts as settled, because the clock has moved on. */
function settledFile(t: TestContext, content: string): { path: string; memos: () => string[] } {
  const folder = temporaryCache(t);
  const path = join(folder, "file");
  writeFileSync(path, content);
  const now = Date.now() + 60_000;
  t.mock.method(Date, "now", () => now);
  const hashes = join(folder, "cache", "weights", "hashes");
  return { path, memos: () => (existsSync(hashes) ? readdirSync(hashes).map((name) => join(hashes, name)) : []) };
}

test("the hash is that of the files' hashes in their order", async (t) => {
  const folder = temporaryCache(t);
  const [a, b] = [join(folder, "a"), join(folder, "b")];
  writeFileSync(a, Buffer.alloc((8 << 20) + 5, 7));
  writeFileSync(b, "");
  const [hashA, hashB] = [sha256(readFileSync(a)), sha256("")];
  assert.equal(await contentHash([a, b]), sha256(hashA, hashB));
  assert.equal(await contentHash([b, a]), sha256(hashB, hashA));
});

test("a settled file's hash is remembered until the file changes", async (t) => {
  const { path, memos } = settledFile(t, "one");
  assert.equal(await contentHash([path]), sha256(sha256("one")));
  const [memo] = memos();
  // A remembered hash that is wrong shows whether it is used.
  const identity = readFileSync(memo, "utf8").slice(0, -65);
  writeFileSync(memo, `${identity}${"0".repeat(64)}\n`);
  assert.equal(await contentHash([path]), sha256("0".repeat(64)));
  writeFileSync(path, "two");
  assert.equal(await contentHash([path]), sha256(sha256("two")));
});

test("memory that is damaged or cannot be written costs only time", async (t) => {
  const { path, memos } = settledFile(t, "one");
  await contentHash([path]);
  for (const text of ["", "nonsense", readFileSync(memos()[0], "utf8").slice(0, -9)]) {
    writeFileSync(memos()[0], text);
    assert.equal(await contentHash([path]), sha256(sha256("one")));
  }
  process.env.LONGSIGHT_CACHE = path;
  assert.equal(await contentHash([path]), sha256(sha256("one")));
});

test("a file that was changed just now is not remembered", async (t) => {
  const folder = temporaryCache(t);
  const path = join(folder, "file");
  writeFileSync(path, "one");
  await contentHash([path]);
  assert.equal(existsSync(join(folder, "cache", "weights", "hashes")), false);
});

test("hashing can be cancelled", async (t) => {
  const folder = temporaryCache(t);
  writeFileSync(join(folder, "file"), "one");
  await assert.rejects(contentHash([join(folder, "file")], { signal: AbortSignal.abort() }), { name: "AbortError" });
});

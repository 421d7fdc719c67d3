import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { LongsightError } from "../../../engine/errors.ts";
import { listFiles, MAX_FILE_BYTES } from "../../../engine/workspace/files.ts";

function folderWith(context: TestContext, files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), "longsight-files-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

/** What is listed, as "path" or "path (reason)". */
async function listed(folder: string, signal?: AbortSignal): Promise<string[]> {
  const paths: string[] = [];
  for await (const { path, skipped } of listFiles(folder, signal)) paths.push(skipped ? `${path} (${skipped})` : path);
  return paths;
}

test("files come in a fixed order, those of a folder before its folders'", async (t) => {
  const folder = folderWith(t, { "b/z.ts": "", "b/a/x.ts": "", "a.ts": "", "c.ts": "" });
  assert.deepEqual(await listed(folder), ["a.ts", "c.ts", "b/z.ts", "b/a/x.ts"]);
});

test("oversized files are listed with their reason, unread", async (t) => {
  const folder = folderWith(t, { "big.ts": "", "fits.ts": "" });
  truncateSync(join(folder, "big.ts"), MAX_FILE_BYTES + 1);
  truncateSync(join(folder, "fits.ts"), MAX_FILE_BYTES);
  assert.deepEqual(await listed(folder), ["big.ts (oversized)", "fits.ts"]);
});

test("links are listed and not followed: loops and links out of the folder end", async (t) => {
  const outside = folderWith(t, { "secret.ts": "" });
  const folder = folderWith(t, { "sub/a.ts": "" });
  symlinkSync("..", join(folder, "sub", "up"));
  symlinkSync("self", join(folder, "self"));
  symlinkSync(outside, join(folder, "out"));
  symlinkSync("nowhere", join(folder, "dangling"));
  assert.deepEqual(await listed(folder), [
    "dangling (symlink)",
    "out (symlink)",
    "self (symlink)",
    "sub/a.ts",
    "sub/up (symlink)",
  ]);
});

test("pipes and sockets are listed, not opened", {
  skip: process.platform === "win32" && "no pipes in folders",
}, async (t) => {
  const folder = folderWith(t, { "a.ts": "" });
  execFileSync("mkfifo", [join(folder, "pipe")]);
  assert.deepEqual(await listed(folder), ["a.ts", "pipe (special)"]);
});

test("names that are not UTF-8 are counted", {
  skip: process.platform !== "linux" && "names are Unicode here",
}, async (t) => {
  const folder = folderWith(t, { "a.ts": "" });
  writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0x67, 0xfc, 0x2e, 0x74, 0x73])]), "x");
  assert.deepEqual(await listed(folder), ["a.ts", "g\ufffd.ts (unreadable)"]);
});

test(".longsightignore is stronger than git's rules, and works without git", async (t) => {
  const folder = folderWith(t, {
    ".gitignore": "*.log\nbuild/\n",
    ".longsightignore": "!keep.log\n*.csv\n",
    "keep.log": "",
    "drop.log": "",
    "table.csv": "",
    "a.ts": "",
    "sub/.longsightignore": "!table.csv\n",
    "sub/table.csv": "",
    "build/out.js": "",
  });
  const expected = [".gitignore", ".longsightignore", "a.ts", "keep.log", "sub/.longsightignore", "sub/table.csv"];
  assert.deepEqual(await listed(folder), expected);
  if (spawnSync("git", ["init", "-q", folder]).status === 0) assert.deepEqual(await listed(folder), expected);
});

test("a deep folder ends; a folder that is not there, or an aborted listing, gets a sentence", async (t) => {
  const deep = `${"d/".repeat(300)}x.ts`;
  const folder = folderWith(t, { [deep]: "" });
  assert.deepEqual(await listed(folder), [deep]);
  const rejects = (run: Promise<unknown>, code: string) =>
    assert.rejects(run, (error: unknown) => error instanceof LongsightError && error.code === code);
  await rejects(listed(join(folder, "gone")), "not-found");
  await rejects(listed(folder, AbortSignal.abort()), "cancelled");
});

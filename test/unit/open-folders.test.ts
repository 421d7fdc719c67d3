import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { FolderMemory, MemoryStatus } from "../../engine/memory/folder-memory.ts";
import { OpenFolders } from "../../engine/open-folders.ts";

const base = mkdtempSync(join(tmpdir(), "longsight-open-"));
process.env.LONGSIGHT_CACHE = join(base, "cache");
test.after(() => rmSync(base, { recursive: true, force: true }));

test("what is held is told of as long as it is held, however often the model is given back", async () => {
  const folders = new OpenFolders();
  const user = {};
  const open = folders.open(base, user);
  const status: MemoryStatus = { filesEncoded: 1, filesTotal: 2, nTokens: 3, encoding: null, isPaused: true };
  const memory: Pick<FolderMemory, "status" | "pause" | "resume" | "close"> = {
    ...{ status, pause: () => {}, resume: () => {} },
    close: async () => {},
  };
  open.memory = memory as FolderMemory;
  open.pauseEncoding(true);
  for (let time = 0; time < 2; time++) {
    await open.closeMemory();
    assert.equal(open.memory, undefined);
    assert.deepEqual(open.memoryStatus, status);
  }
  open.pauseEncoding(false);
  assert.equal(open.memoryStatus, undefined);
  await folders.leave(user);
});

test("what completions copy from goes with the shipped model's memory, and not with that of another one", async () => {
  const folders = new OpenFolders();
  const user = {};
  const open = folders.open(base, user);
  const { copies } = open;
  await copies.update([]);
  await open.closeMemory("own.gguf");
  assert.equal(open.copies, copies);
  await open.closeMemory();
  assert.equal(open.copies.isInUse, false);
  await folders.leave(user);
});

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Citation } from "../../engine/ask/ask.ts";
import { FolderMemories } from "../../engine/folder-memories.ts";
import type { FolderMemory } from "../../engine/memory/folder-memory.ts";
import { OpenFolders } from "../../engine/open-folders.ts";
import type { LoadedModel } from "../../engine/runtime/loaded-model.ts";
import { ModelPool } from "../../engine/runtime/model-pool.ts";

const base = mkdtempSync(join(tmpdir(), "longsight-memories-"));
process.env.LONGSIGHT_CACHE = join(base, "cache");
test.after(() => rmSync(base, { recursive: true, force: true }));

/** A pool of models that have no memory; what was loaded. */
function without() {
  const loaded: (string | undefined)[] = [];
  const model = { name: "none", close: async () => {} } as LoadedModel;
  const load = async (path: string | undefined) => {
    loaded.push(path);
    return model;
  };
  return { models: new ModelPool({ load }), loaded, model };
}

test("a folder that was never indexed has no memory, and loads no model for it", async () => {
  const { models, loaded } = without();
  const user = {};
  const folders = new OpenFolders();
  const open = folders.open(base, user);
  assert.equal(await new FolderMemories(models, user, true).known(open), undefined);
  new FolderMemories(models, user, false).refreshBehind(open);
  assert.deepEqual(loaded, []);
  await folders.leave(user);
  await models.close();
});

test("models without a memory are refused, and answer without it", async () => {
  const { models, model } = without();
  const user = {};
  const folders = new OpenFolders();
  const open = folders.open(base, user);
  const memories = new FolderMemories(models, user, true);
  await assert.rejects(memories.shipped(open), /This model has no memory; use the shipped one\./);
  await assert.rejects(memories.attached(open, "own.gguf", {}), /leave it out/);
  assert.equal(await memories.recalledBy(open, "own.gguf", model), undefined);
  await folders.leave(user);
  await models.close();
});

test("what was just cited is encoded first; what is under way goes on unless something cited is missing", async () => {
  const { models } = without();
  const user = {};
  const folders = new OpenFolders();
  const folder = join(base, "cited");
  mkdirSync(folder);
  for (const name of ["a.ts", "b.ts", "c.ts"]) writeFileSync(join(folder, name), `export const ${name[0]} = 1;\n`);
  const open = folders.open(folder, user);
  await open.index({});
  const orders: string[][] = [];
  const memory = {
    memory: { missing: [{ path: "b.ts" }, { path: "c.ts" }] },
    status: { encoding: null as object | null },
    refresh: async (files: readonly { path: string }[]) => {
      orders.push(files.map(({ path }) => path));
    },
  };
  const cited = (...files: string[]) => files.map((file) => ({ file }) as Citation);
  const behind = (encodes: boolean, files: readonly Citation[]) =>
    new FolderMemories(models, user, encodes).encodeBehind(open, memory as unknown as FolderMemory, files);
  behind(true, cited("c.ts", "a.ts"));
  behind(false, cited("c.ts"));
  memory.status.encoding = {};
  behind(true, cited("a.ts"));
  behind(true, cited("b.ts"));
  memory.memory.missing = [];
  memory.status.encoding = null;
  behind(true, cited("b.ts"));
  assert.deepEqual(orders, [
    ["c.ts", "a.ts", "b.ts"],
    ["b.ts", "a.ts", "c.ts"],
  ]);
  await folders.leave(user);
  await models.close();
});

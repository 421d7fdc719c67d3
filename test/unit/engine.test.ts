/** What the users of one process share, and what they do not; a model that is idle. */
import assert from "node:assert/strict";
import { mkdtempSync, realpathSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, mock, type TestContext, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { FolderCopies } from "../../engine/complete/folder-copies.ts";
import { Engine, type EngineOptions } from "../../engine/engine.ts";
import { randomChatModel } from "./random-chat-model.ts";
import { folderWith, PROJECT } from "./run-cli.ts";

process.env.LONGSIGHT_CACHE = mkdtempSync(join(tmpdir(), "longsight-cache-"));
const folder = realpathSync(folderWith(PROJECT));
const other = realpathSync(folderWith({ "bread.py": "def knead(dough):\n    return dough.strip()\n" }));
after(() => {
  for (const path of [folder, other, process.env.LONGSIGHT_CACHE!]) rmSync(path, { recursive: true });
});

function open(context: TestContext, options?: EngineOptions): Engine {
  const engine = new Engine(options);
  context.after(() => engine.close());
  return engine;
}

const question = "who takes the oldest job from the queue?";
const place = { folder, path: "src/new.ts", prefix: "export async function takeJob(", suffix: "\n" };

test("users see their own folders only, and share the models", async (context) => {
  const one = open(context);
  const two = one.join();
  await one.index(folder);
  await two.index(other);
  assert.deepEqual(one.status().folders, [folder]);
  assert.deepEqual(two.status().folders, [other]);
  await one.complete(place);
  assert.deepEqual(two.status().loadedModels, one.status().loadedModels);
  assert.equal(two.status().loadedModels.length, 1);
});

test("a user who leaves closes nothing that another one has", async (context) => {
  const one = open(context);
  const two = one.join();
  for (const engine of [one, two]) await engine.index(folder);
  await two.complete(place);
  await two.close();
  assert.deepEqual(two.status().folders, []);
  await assert.rejects(two.ask({ folder, question }), { code: "engine-lost" });
  assert.equal((await one.ask({ folder, question })).citations[0].file, "src/queue.ts");
  await one.complete(place);
  assert.equal(one.status().loadedModels.length, 1);
});

test("encoding in the background ends with the last user of the folder, and leaves none of it open", async (context) => {
  const one = open(context, { encodesInBackground: true });
  const two = one.join();
  await two.index(folder);
  await two.close();
  await delay(50);
  const three = one.join();
  context.after(() => three.close());
  await three.index(folder);
  assert.equal((await three.encode(folder))?.filesLeft, 0);
});

test("a model and its memories are given back when idle, and are there again for the next request", async (context) => {
  const engine = open(context, { idleMs: 50 });
  await engine.index(folder);
  await engine.encode(folder);
  const before = await engine.complete(place);
  assert.ok(before.memory);
  assert.deepEqual(Object.keys(engine.status().memories), [folder]);
  while (engine.status().loadedModels.length > 0) await delay(10);
  assert.deepEqual(engine.status().memories, {});
  const again = await engine.complete(place);
  assert.equal(again.text, before.text);
  assert.deepEqual(again.memory?.layers, before.memory.layers);
  while (engine.status().loadedModels.length > 0) await delay(10);
  assert.equal((await engine.encode(folder))?.filesEncoded, 0);
});

test("encoding that is held keeps no model, and goes on when it may", async (context) => {
  const fresh = realpathSync(folderWith({ "rye.py": "def sour(dough):\n    return dough * 2\n" }));
  context.after(() => rmSync(fresh, { recursive: true }));
  const engine = open(context, { idleMs: 50, encodesInBackground: true });
  const memory = () => engine.status().memories[fresh];
  engine.pauseEncoding(fresh, true);
  await engine.index(fresh);
  while (!memory()?.filesTotal) await delay(10);
  while (engine.status().loadedModels.length > 0) await delay(10);
  assert.deepEqual([memory().filesEncoded, memory().filesTotal, memory().isPaused], [0, 1, true]);
  engine.pauseEncoding(fresh, false);
  while ((memory()?.filesEncoded ?? 0) < 1) await delay(10);
});

test("a model whose files are deleted is used as long as it is loaded, and then said to be gone", async (context) => {
  const model = randomChatModel();
  context.after(() => rmSync(model, { recursive: true, force: true }));
  const engine = open(context, { idleMs: 50 });
  const { text } = await engine.generate({ model, prompt: "hello", maxTokens: 4, seed: 1 });
  const kept = `${model}-kept`;
  renameSync(model, kept);
  context.after(() => rmSync(kept, { recursive: true, force: true }));
  assert.equal((await engine.generate({ model, prompt: "hello", maxTokens: 4, seed: 1 })).text, text);
  while (engine.status().loadedModels.length > 0) await delay(10);
  await assert.rejects(engine.generate({ model, prompt: "hello", maxTokens: 4 }), {
    code: "not-found",
    message: `${model} does not exist; check the path.`,
  });
  // What was asked for meanwhile is not held against it.
  assert.equal(typeof (await engine.complete(place)).text, "string");
  renameSync(kept, model);
  assert.equal((await engine.generate({ model, prompt: "hello", maxTokens: 4, seed: 1 })).text, text);
});

test("a folder that is gone, or is none, takes nothing from a completion", async (context) => {
  const engine = open(context);
  for (const path of [join(folder, "gone"), join(folder, "README.md")]) {
    const completion = await engine.complete({ ...place, folder: path });
    assert.equal(completion.memory, null);
  }
});

test("a completion does without what is only being got ready behind it, and looks at it once it is there", async (context) => {
  const before = open(context);
  await before.encode(folder);
  await before.close();
  const engine = open(context, { encodesInBackground: true });
  const held = Promise.withResolvers<void>();
  const { update } = FolderCopies.prototype;
  mock.method(FolderCopies.prototype, "update", function (this: FolderCopies, files: Parameters<typeof update>[0]) {
    return held.promise.then(() => update.call(this, files));
  });
  context.after(() => mock.restoreAll());
  assert.equal((await engine.complete(place)).memory, null);
  held.resolve();
  while (!(await engine.complete(place)).memory) await delay(10);
});

/** What answers are written from where a model reads from memory. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { Engine } from "../../../engine/engine.ts";
import { openModel } from "../../../engine/models/open-model.ts";
import { writeReading } from "../../../engine/runtime/reading.ts";
import { randomChatModel } from "../random-chat-model.ts";
import { folderWith, PROJECT } from "../run-cli.ts";

process.env.LONGSIGHT_CACHE = mkdtempSync(join(tmpdir(), "longsight-recollection-"));
after(() => rmSync(process.env.LONGSIGHT_CACHE!, { recursive: true, force: true }));

test("a model that reads from memory answers from blocks, names them and shows where it looked", async (context) => {
  const [folder, path] = [folderWith(PROJECT), randomChatModel()];
  context.after(() => {
    for (const one of [folder, path]) rmSync(one, { recursive: true });
  });
  const model = await openModel(path);
  const engine = new Engine();
  context.after(() => engine.close());
  const params = { folder, question: "who takes the oldest job from the queue?", model: path };
  assert.equal((await engine.ask(params)).memory, undefined);
  await engine.close();

  writeReading(model.weights.fingerprint, { way: "memory", plan: "balanced" });
  model.close();
  const again = new Engine();
  context.after(() => again.close());
  // Nothing is encoded yet: text serves.
  assert.equal((await again.ask(params)).memory, undefined);
  const told = () => Object.values(again.status().memories)[0];
  const seen: ReturnType<typeof told>[] = [];
  const encoding = again.encode(folder, { onProgress: ({ kind }) => kind === "work" && seen.push(told()) }, path);
  assert.equal((await encoding)?.filesEncoded, Object.keys(PROJECT).length);
  // The editor shows how far it is, as for the shipped model, whose memory is not in use here.
  const nFiles = Object.keys(PROJECT).length;
  assert.ok(seen.some((one) => one?.encoding !== null && one?.filesTotal === nFiles && one.filesEncoded < nFiles));
  assert.equal(told(), undefined);
  const { memory, citations } = await again.ask(params);
  assert.equal(citations[0].file, "src/queue.ts");
  const [{ blocks, looks }] = memory!.layers;
  assert.ok(looks > 0);
  assert.ok(blocks.some((block) => block.path === "src/queue.ts" && block.mass > 0));
  const mass = blocks.reduce((sum, block) => sum + block.mass, 0);
  assert.ok(mass > 0 && mass < 1);
  for (const { file, text } of citations) assert.ok(PROJECT[file].includes(text));
  // Where the user has said where to look, nothing else is brought in.
  const within = async (...paths: string[]) => {
    const found = (await again.ask({ ...params, paths })).memory;
    return new Set(found?.layers[0].blocks.map(({ path }) => path));
  };
  assert.deepEqual(await within("src/queue.ts"), new Set(["src/queue.ts"]));
  const inFolder = Object.keys(PROJECT).filter((path) => path.startsWith("src/"));
  assert.ok(inFolder.length > 1 && inFolder.length < Object.keys(PROJECT).length);
  assert.deepEqual(await within("src/"), new Set(inFolder));
  const chat = { model: path, folder, maxTokens: 12 };
  const turn = await again.generate({ ...chat, prompt: [{ role: "user", content: params.question }] });
  assert.ok(turn.memory?.layers[0].blocks.some((block) => block.path === "src/queue.ts"));
  assert.equal((await again.generate({ ...chat, prompt: [{ role: "user", content: "and?" }] })).memory, undefined);
  await assert.rejects(again.generate({ model: path, prompt: "a", plan: "quick" }), { code: "bad-input" });
  assert.ok((await again.generate({ model: path, prompt: "a", plan: "fast", maxTokens: 2 })).nTokens <= 2);
});

test("a model that leaves nothing out tells where it looked too", async (context) => {
  const [folder, path] = [folderWith(PROJECT), randomChatModel()];
  context.after(() => {
    for (const one of [folder, path]) rmSync(one, { recursive: true });
  });
  const model = await openModel(path);
  writeReading(model.weights.fingerprint, { way: "memory", plan: "exact" });
  model.close();
  const engine = new Engine();
  context.after(() => engine.close());
  await engine.encode(folder, {}, path);
  const { memory } = await engine.ask({ folder, question: "who takes the oldest job from the queue?", model: path });
  const [{ blocks, looks }] = memory!.layers;
  assert.ok(looks > 0);
  assert.ok(blocks.some((block) => block.path === "src/queue.ts" && block.mass > 0 && block.headMasses.length > 0));
  assert.ok(
    blocks.some(({ score }) => score !== 0),
    "landmarks were compared",
  );
});

test("what a model that reads from memory lacks is encoded behind its answers", async (context) => {
  // Not what the test before has encoded.
  const files = { ...PROJECT, "src/queue.ts": `${PROJECT["src/queue.ts"]}// The end.\n` };
  const [folder, path] = [folderWith(files), randomChatModel()];
  const model = await openModel(path);
  writeReading(model.weights.fingerprint, { way: "memory", plan: "fast" });
  model.close();
  const engine = new Engine({ encodesInBackground: true });
  context.after(async () => {
    await engine.close();
    for (const one of [folder, path]) rmSync(one, { recursive: true });
  });
  const params = { folder, question: "who takes the oldest job from the queue?", model: path };
  const isRecalled = async () => {
    const { memory } = await engine.ask(params);
    return memory?.layers[0].blocks.some((block) => block.path === "src/queue.ts") ?? false;
  };
  assert.equal(await isRecalled(), false);
  while (!(await isRecalled())) await delay(20);
});

test("what a model has encoded is pushed, and pulled by one that has encoded nothing", async (context) => {
  const [folder, path] = [folderWith(PROJECT), randomChatModel()];
  const shared = mkdtempSync(join(tmpdir(), "longsight-shared-"));
  const url = pathToFileURL(shared).href;
  const cache = process.env.LONGSIGHT_CACHE;
  const engines: Engine[] = [];
  context.after(async () => {
    for (const engine of engines) await engine.close();
    process.env.LONGSIGHT_CACHE = cache;
    for (const one of [folder, path, shared]) rmSync(one, { recursive: true });
  });
  const open = () => {
    engines.push(new Engine());
    return engines.at(-1)!;
  };
  const first = open();
  await first.encode(folder, {}, path);
  assert.equal((await first.pushMemory(folder, url, {}, path)).pushed, 4);
  await first.close();
  process.env.LONGSIGHT_CACHE = mkdtempSync(join(tmpdir(), "longsight-recollection-"));
  const second = open();
  assert.equal((await second.pullMemory(folder, url, {}, path)).pulled, 4);
  assert.equal((await second.encode(folder, {}, path))?.filesEncoded, 0);
  await second.close();
  rmSync(process.env.LONGSIGHT_CACHE, { recursive: true });
});

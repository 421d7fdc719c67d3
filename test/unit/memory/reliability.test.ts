import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs, { existsSync, mkdirSync, readdirSync, statSync, utimesSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Segment } from "../../../engine/memory/segment.ts";
import { SegmentStore } from "../../../engine/memory/segment-store.ts";
import { hashOf, sampleText, shape, smallMemory, temporaryFolder } from "./small-memory.ts";

const CHILD = fileURLToPath(new URL("encode-child.ts", import.meta.url));
/** Each takes about half a second; raise it for a long run. */
const N_KILLS = Number(process.env.LONGSIGHT_KILLS ?? 24);

const segmentsIn = (dir: string) =>
  readdirSync(dir, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".segment"))
    .map((name) => join(dir, name));
const idIn = (path: string) => /([0-9a-f]{64})\.segment$/.exec(path)?.[1] ?? "";

/** Opens a segment and reads all of it; throws where a bit of it is wrong. */
function readAll(path: string): void {
  const opened = Segment.open(path, Buffer.from(idIn(path), "hex"), shape);
  assert.ok(opened, path);
  for (let block = 0; block < opened.segment.nBlocks; block++) opened.segment.read(block);
}

function startChild(dir: string, seed: number) {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", CHILD, dir, String(seed)]);
  const done: string[] = [];
  let rest = "";
  let errors = "";
  child.stdout.on("data", (chunk) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    done.push(...lines);
  });
  child.stderr.on("data", (chunk) => {
    errors += chunk;
  });
  return { child, done, errors: () => errors };
}

test(`killed ${N_KILLS} times while encoding, no segment is wrong and none that was finished is lost`, async (context) => {
  const dir = temporaryFolder(context);
  const finished = new Set<string>();
  const checked = new Set<string>();
  for (let kill = 0; kill < N_KILLS; kill++) {
    const { child, done, errors } = startChild(dir, kill);
    // The first file says that it is at work; from there on any moment may be the last.
    await Promise.race([once(child.stdout, "data"), once(child, "exit")]);
    await new Promise((resolve) => setTimeout(resolve, (kill * 37) % 200));
    const ended = once(child, "close");
    child.kill("SIGKILL");
    await ended;
    assert.equal(errors(), "");
    for (const id of done) finished.add(id);
    const present = segmentsIn(dir);
    for (const path of present) if (!checked.has(path)) readAll(path);
    for (const path of present) checked.add(path);
    const ids = new Set(present.map(idIn));
    for (const id of finished) assert.ok(ids.has(id), `${id} was finished and is gone`);
  }
  assert.ok(finished.size >= N_KILLS);
  for (const path of segmentsIn(dir)) readAll(path);
  // What the last killed processes left unfinished goes when the store is opened.
  new SegmentStore(dir, { fingerprint: "", shape, quotaBytes: 1, log: assert.fail });
  assert.deepEqual(readdirSync(join(dir, "unfinished")), []);
});

test("two processes encode into one store", async (context) => {
  const dir = temporaryFolder(context);
  // The same seed: both write the same segments.
  const children = [startChild(dir, 1), startChild(dir, 1)];
  while (children.some(({ done }) => done.length < 60)) await new Promise((resolve) => setTimeout(resolve, 20));
  for (const { child } of children) {
    const ended = once(child, "close");
    child.kill("SIGKILL");
    await ended;
  }
  for (const { errors, done } of children) {
    assert.equal(errors(), "");
    const ids = new Set(segmentsIn(dir).map(idIn));
    for (const id of done) assert.ok(ids.has(id));
  }
  for (const path of segmentsIn(dir)) readAll(path);
});

const filesOf = (n: number, nTokens: number) =>
  new Map(Array.from({ length: n }, (_, i) => [`F/${i}.TS`, sampleText(i + 1, nTokens)]));

/** Makes a function of node:fs fail for a while. */
function failing(context: TestContext, name: "writeSync" | "fsync", code: string) {
  const mocked = context.mock.method(fs, name, (...args: unknown[]) => {
    const error = Object.assign(new Error(code), { code });
    const done = args.at(-1);
    if (typeof done !== "function") throw error;
    done(error);
  });
  syncBuiltinESMExports();
  return () => {
    mocked.mock.restore();
    syncBuiltinESMExports();
  };
}

test("a full disk ends the job with one sentence, leaves nothing half-written, and the next job goes on", async (context) => {
  const dir = temporaryFolder(context);
  const { memory, encoder, job } = await smallMemory(dir, filesOf(5, 100));
  for (const name of ["writeSync", "fsync"] as const) {
    const restore = failing(context, name, "ENOSPC");
    await assert.rejects(job().run(), { code: "disk-full" });
    restore();
    assert.deepEqual(segmentsIn(dir), []);
    assert.deepEqual(readdirSync(join(dir, "unfinished")), []);
  }
  assert.equal((await job().run()).filesEncoded, 5);
  assert.deepEqual(memory.missing, []);
  await encoder.close();
});

test("a cancelled job keeps what was done, a paused one waits, and the next one does the rest", async (context) => {
  const dir = temporaryFolder(context);
  const { memory, encoder, job } = await smallMemory(dir, filesOf(6, 700));
  const abort = new AbortController();
  const progress: number[] = [];
  const first = job().run({
    signal: abort.signal,
    onProgress: ({ filesDone }) => {
      progress.push(filesDone);
      if (filesDone === 2) abort.abort();
    },
  });
  await assert.rejects(first, { code: "cancelled" });
  assert.deepEqual(progress, [0, 1, 2]);
  assert.equal(memory.missing.length, 4);
  assert.deepEqual(readdirSync(join(dir, "unfinished")), []);

  const second = job();
  let reported = 0;
  const running = second.run({
    onProgress: ({ filesDone, filesTotal }) => {
      assert.equal(filesTotal, 4);
      if (filesDone > 0 && ++reported === 1) second.pause();
    },
  });
  while (reported === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(reported, 1);
  assert.equal(memory.missing.length, 3);
  second.resume();
  const result = await running;
  assert.equal(result.filesEncoded, 4);
  assert.ok(result.tokensEncoded > 4 * 700);

  // A paused job can be cancelled too.
  const third = await smallMemory(join(dir, "other"), filesOf(1, 100));
  const paused = third.job();
  paused.pause();
  const stop = new AbortController();
  const waiting = paused.run({ signal: stop.signal });
  setTimeout(() => stop.abort(), 20);
  await assert.rejects(waiting, { code: "cancelled" });
  await encoder.close();
  await third.encoder.close();
});

test("work that is more urgent goes first, between two runs of one file", async (context) => {
  const { encoder, scheduler, job } = await smallMemory(temporaryFolder(context), filesOf(1, 5000));
  const order: string[] = [];
  const running = job()
    .run()
    .then(() => order.push("file"));
  await new Promise((resolve) => setImmediate(resolve));
  await scheduler.run(0, async () => order.push("completion"));
  await running;
  assert.deepEqual(order, ["completion", "file"]);
  await encoder.close();
});

test("files that changed since they were listed are left for the next time", async (context) => {
  const files = filesOf(3, 100);
  const { memory, encoder, update, job } = await smallMemory(temporaryFolder(context), files);
  files.set("F/1.TS", "CHANGED");
  files.delete("F/2.TS");
  const { filesEncoded, filesLeft } = await job().run();
  assert.deepEqual([filesEncoded, filesLeft], [1, 2]);
  await update();
  assert.equal((await job().run()).filesEncoded, 1);
  assert.deepEqual(memory.missing, []);
  await encoder.close();
});

test("a full store drops what was unused for longest, never what the folder itself needs", async (context) => {
  const dir = temporaryFolder(context);
  const old = filesOf(8, 200);
  const first = await smallMemory(dir, old);
  await first.job().run();
  const sizeBytes = segmentsIn(dir).reduce((sum, path) => sum + statSync(path).size, 0);
  // The older half was last used long ago.
  const aged = segmentsIn(dir).slice(0, 4);
  for (const [i, path] of aged.entries()) utimesSync(path, 1000 + i, 1000 + i);

  const files = new Map([...filesOf(10, 200)].slice(8));
  const second = await smallMemory(dir, files, { quotaBytes: sizeBytes * 1.05 });
  assert.equal((await second.job().run()).filesEncoded, 2);
  const left = new Set(segmentsIn(dir));
  assert.ok(aged.some((path) => !left.has(path)));
  for (const path of segmentsIn(dir)) readAll(path);
  const size = [...left].reduce((sum, path) => sum + statSync(path).size, 0);
  assert.ok(size <= sizeBytes * 1.05);
  // What is newer is still there.
  assert.ok(left.size >= 6);

  // A folder that is too large for the quota alone is encoded as far as it goes, and says so once.
  const quotaBytes = sizeBytes * 1.05;
  const third = await smallMemory(dir, filesOf(30, 200), { quotaBytes });
  const result = await third.job().run();
  assert.equal(result.isFull, true);
  assert.equal(third.log.length, 1, third.log.join("\n"));
  assert.ok(third.memory.nTokens > 0);
  assert.ok(segmentsIn(dir).reduce((sum, path) => sum + statSync(path).size, 0) <= quotaBytes);
  for (const { encoder } of [first, second, third]) await encoder.close();
});

test("a wrong clock changes nothing but the order of eviction", async (context) => {
  const dir = temporaryFolder(context);
  const files = filesOf(3, 100);
  const first = await smallMemory(dir, files);
  await first.job().run();
  for (const [i, path] of segmentsIn(dir).entries()) utimesSync(path, i === 0 ? 0 : 4e9, i === 0 ? 0 : 4e9);
  const again = await smallMemory(dir, files);
  assert.deepEqual(again.memory.missing, []);
  assert.deepEqual(again.log, []);
  for (const path of segmentsIn(dir)) assert.ok(Math.abs(Date.now() - statSync(path).mtimeMs) < 60_000);
  await first.encoder.close();
  await again.encoder.close();
});

test("another model's segments are not taken for this one's", async (context) => {
  const dir = temporaryFolder(context);
  const files = filesOf(2, 100);
  const first = await smallMemory(dir, files);
  await first.job().run();
  const other = await smallMemory(dir, files, { fingerprint: "another" });
  assert.equal(other.memory.missing.length, 2);
  assert.notEqual(first.store.idOf(hashOf("A")), other.store.idOf(hashOf("A")));
  await first.encoder.close();
  await other.encoder.close();
});

test("a store that cannot be written is one sentence", (context) => {
  const dir = join(temporaryFolder(context), "file");
  mkdirSync(dir);
  fs.writeFileSync(join(dir, "unfinished"), "");
  assert.throws(() => new SegmentStore(dir, { fingerprint: "", shape, quotaBytes: 1, log: assert.fail }), /./);
  assert.ok(existsSync(dir));
});

/** One engine for several windows, played by several clients. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, type TestContext, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { EngineClient } from "../../engine/client.ts";
import type { LongsightError } from "../../engine/errors.ts";
import { meetingPlace } from "../../engine/meeting-place.ts";
import { packageRoot } from "../../engine/paths.ts";
import { requests, setAsidePrefix } from "../../engine/protocol.ts";
import { type ShareOptions, shareEngine } from "../../engine/shared-client.ts";
import { cacheEnv, folderWith, PROJECT } from "./run-cli.ts";

const script = join(packageRoot, "engine", "server.ts");
const folder = realpathSync(folderWith(PROJECT));
const other = realpathSync(folderWith({ "bread.py": "def knead(dough):\n    return dough.strip()\n" }));
after(() => {
  for (const path of [folder, other]) rmSync(path, { recursive: true });
});

/** A user's machine: a store and a place for the socket. Windows that are opened on it are closed with the test. */
function machine(context: TestContext, more: Partial<ShareOptions> = {}) {
  const socketParent = mkdtempSync(join(tmpdir(), "ls-"));
  const env = cacheEnv();
  const cacheFolder = env.LONGSIGHT_CACHE ?? "";
  const args = ["--disable-warning=ExperimentalWarning", script];
  const shared = { command: process.execPath, args, env, script, cacheFolder, socketParent, lingerMs: 300, ...more };
  context.after(() => rmSync(socketParent, { recursive: true, force: true }));
  const open = async (events: Pick<ShareOptions, "onLog" | "onLost"> = {}): Promise<EngineClient> => {
    const client = await shareEngine({ ...shared, ...events });
    context.after(() => client.close());
    return client;
  };
  return { shared, open, place: () => meetingPlace(script, cacheFolder, socketParent) };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (await holds()) return;
    await delay(25);
  }
  assert.fail(`never became true: ${holds}`);
}

const pidOf = (client: EngineClient) => client.pid ?? 0;

test("two windows use one engine, each sees its own folders, and it ends after both", async (context) => {
  const { open, place } = machine(context);
  const [one, two] = [await open(), await open()];
  assert.equal(one.pid, two.pid);
  assert.ok(one.isShared);
  await one.request(requests.index, { folder });
  await two.request(requests.index, { folder: other });
  assert.deepEqual((await one.request(requests.status, {})).folders, [folder]);
  assert.deepEqual((await two.request(requests.status, {})).folders, [other]);
  await one.close();
  await delay(500);
  const found = await two.request(requests.symbols, { folder: other, part: "knead", limit: 1 });
  assert.equal(found[0].file, "bread.py");
  await two.close();
  await until(() => !isAlive(pidOf(two)));
  if (process.platform !== "win32") assert.equal(existsSync(place().address), false);
  const three = await open();
  assert.notEqual(three.pid, two.pid);
});

test("the common engine listens on no network and opens no connection", async (context) => {
  const guard = ["--import", join(packageRoot, "test", "unit", "network-guard.ts")];
  const { open, place } = machine(context, { args: ["--disable-warning=ExperimentalWarning", ...guard, script] });
  const window = await open();
  assert.ok(window.isShared);
  await window.request(requests.index, { folder });
  await window.request(requests.complete, { folder, path: "src/new.ts", prefix: "const a = ", suffix: "\n" });
  assert.doesNotMatch(readFileSync(place().log, "utf8"), /NETWORK/);
});

test("windows that start at once get one engine", async (context) => {
  const { open } = machine(context);
  const pids = (await Promise.all([open(), open(), open()])).map(pidOf);
  assert.equal(new Set(pids).size, 1);
});

test("one window's cancellation and leaving stop its own work only", async (context) => {
  const { open } = machine(context);
  const [one, two, three] = [await open(), await open(), await open()];
  const endless = { prompt: "def ", maxTokens: 100_000 };
  const abort = new AbortController();
  // Both are the first request after the greeting: they have the same number and token on either connection.
  const cancelled = one.request(requests.generate, endless, { signal: abort.signal });
  const finished = two.request(requests.generate, { prompt: "def ", maxTokens: 40 });
  abort.abort();
  await assert.rejects(cancelled, { code: "cancelled" });
  assert.ok((await finished).nTokens > 0);
  // Whoever leaves holds nobody up, whatever was under way.
  const left = three.request(requests.generate, endless, { onProgress: () => void three.close() });
  await assert.rejects(left, { code: "engine-lost" });
  assert.ok((await two.request(requests.generate, { prompt: "def ", maxTokens: 2 })).nTokens > 0);
});

test("a completion is not held up by what is encoded for another window", async (context) => {
  const { open } = machine(context);
  const body = "export function f(a: number): number {\n  return a * 2 + 1;\n}\n";
  const files = Array.from({ length: 60 }, (_, i) => [`f${i}.ts`, `// file ${i}\n${body.repeat(60)}`]);
  const large = folderWith(Object.fromEntries(files));
  context.after(() => rmSync(large, { recursive: true }));
  const [one, two] = [await open(), await open()];
  let isEncoded = false;
  let nDone = 0;
  const encoding = one
    .request(requests.encode, { folder: large }, { onProgress: () => nDone++ })
    .then(() => (isEncoded = true));
  await until(() => nDone > 2);
  const place = { path: "a.ts", prefix: "const a = ", suffix: "\n" };
  for (let i = 0; i < 3; i++) await two.request(requests.complete, place);
  assert.equal(isEncoded, false);
  await encoding;
});

test("a window that is killed leaves no engine behind", async (context) => {
  const { shared } = machine(context);
  const program = `
    import { shareEngine } from ${JSON.stringify(join(packageRoot, "engine", "shared-client.ts"))};
    const client = await shareEngine(${JSON.stringify(shared)});
    console.log(client.pid);
    setInterval(() => {}, 1000);`;
  const window = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", "--input-type=module-typescript", "-e", program],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const pid = await new Promise<number>((resolve) => window.stdout.once("data", (data) => resolve(Number(data))));
  assert.ok(isAlive(pid));
  window.kill("SIGKILL");
  await until(() => !isAlive(pid));
});

test("a killed engine is lost for all, and its socket and lock are in nobody's way", async (context) => {
  const { open, place } = machine(context);
  const lost: LongsightError[] = [];
  const onLost = (reason: LongsightError) => void lost.push(reason);
  const [one] = [await open({ onLost }), await open({ onLost })];
  process.kill(pidOf(one), "SIGKILL");
  await until(() => lost.length === 2);
  assert.equal(lost[0].code, "engine-lost");
  if (process.platform !== "win32") assert.ok(existsSync(place().address));
  const next = await open();
  assert.ok(next.isShared);
  assert.notEqual(next.pid, one.pid);
});

test("an engine that is ended by one window is lost for the others", async (context) => {
  const { open } = machine(context);
  const lost: LongsightError[] = [];
  const one = await open();
  const two = await open({ onLost: (reason) => void lost.push(reason) });
  await one.end();
  await until(() => lost.length === 1);
  await assert.rejects(two.request(requests.status, {}), /restarted by another window/);
  await until(() => !isAlive(pidOf(one)));
});

test("stores are cleared for all windows, whatever they do, and both go on with new ones", async (context) => {
  const { open, shared } = machine(context);
  const lost: LongsightError[] = [];
  const [one, two] = [await open(), await open({ onLost: (reason) => void lost.push(reason) })];
  await one.request(requests.index, { folder });
  await two.request(requests.index, { folder: other });
  const writing = two.request(requests.generate, { prompt: "def ", maxTokens: 100_000 });
  const stopped = assert.rejects(writing, /restarted by another window/);
  await delay(200);
  await one.clearStores();
  await stopped;
  await until(() => lost.length === 1 && !isAlive(pidOf(two)));
  const [aside, ...more] = readdirSync(dirname(shared.cacheFolder)).filter((name) =>
    join(dirname(shared.cacheFolder), name).startsWith(setAsidePrefix(shared.cacheFolder)),
  );
  assert.ok(aside);
  assert.deepEqual(more, []);
  context.after(() => rmSync(join(dirname(shared.cacheFolder), aside), { recursive: true }));
  assert.equal(existsSync(shared.cacheFolder), false);
  const [three, four] = await Promise.all([open(), open()]);
  assert.equal(three.pid, four.pid);
  const results = await Promise.all([
    three.request(requests.index, { folder }),
    four.request(requests.index, { folder: other }),
  ]);
  assert.deepEqual(
    results.map(({ indexed, files }) => indexed - files),
    [0, 0],
  );
});

test("stores are cleared for a window that has an engine of its own too, and by it", async (context) => {
  const { open, shared } = machine(context);
  const file = join(shared.socketParent, "file");
  writeFileSync(file, "");
  const apart = machine(context, { ...shared, socketParent: file }).open;
  const names = () => readdirSync(dirname(shared.cacheFolder)).map((name) => join(dirname(shared.cacheFolder), name));
  const asides = () => names().filter((path) => path.startsWith(setAsidePrefix(shared.cacheFolder)));
  context.after(() => {
    for (const path of asides()) rmSync(path, { recursive: true });
  });
  for (const [openOne, openTwo] of [
    [open, apart],
    [apart, open],
  ]) {
    const lost: LongsightError[] = [];
    const [one, two] = [await openOne(), await openTwo({ onLost: (reason) => void lost.push(reason) })];
    assert.notEqual(one.pid, two.pid);
    assert.equal((await one.request(requests.index, { folder })).unchanged, 0);
    await two.request(requests.index, { folder: other });
    const stopped = assert.rejects(two.request(requests.generate, { prompt: "def ", maxTokens: 100_000 }), {
      code: "engine-lost",
    });
    const nBefore = asides().length;
    await one.clearStores();
    await stopped;
    assert.equal(lost.length, 1);
    assert.equal(asides().length, nBefore + 1);
    assert.equal(existsSync(shared.cacheFolder), false);
    await until(() => !isAlive(pidOf(one)) && !isAlive(pidOf(two)));
  }
  assert.equal((await (await apart()).request(requests.index, { folder })).unchanged, 0);
});

test("a store that is not there is as good as cleared", async (context) => {
  const { open, shared } = machine(context);
  const window = await open();
  rmSync(shared.cacheFolder, { recursive: true, force: true });
  await window.clearStores();
  assert.equal(existsSync(shared.cacheFolder), false);
});

const own = async (open: ReturnType<typeof machine>["open"], reason: RegExp): Promise<void> => {
  const lines: string[] = [];
  const client = await open({ onLog: (line) => void lines.push(line) });
  assert.equal(client.isShared, false);
  assert.equal(lines.length, 1);
  assert.match(lines[0], /^This window has an engine of its own: /);
  assert.match(lines[0], reason);
  assert.ok((await client.request(requests.status, {})).pid);
};

test("where no socket can be, a window has an engine of its own", async (context) => {
  const { open, shared } = machine(context);
  const file = join(shared.socketParent, "file");
  writeFileSync(file, "");
  await own(machine(context, { socketParent: file }).open, /is not a folder/);
  assert.ok((await open()).isShared);
});

test("where another process has the lock, a window has an engine of its own", async (context) => {
  const { open, place } = machine(context, { answerMs: 1000 });
  const taken = new DatabaseSync(place().lock);
  taken.exec("BEGIN EXCLUSIVE");
  context.after(() => taken.close());
  await own(open, /does not answer/);
});

test("where the common engine hangs, a window has an engine of its own", {
  skip: process.platform === "win32",
}, async (context) => {
  const { open } = machine(context, { answerMs: 2000 });
  const hanging = await open();
  process.kill(pidOf(hanging), "SIGSTOP");
  context.after(() => process.kill(pidOf(hanging), "SIGKILL"));
  await own(open, /does not answer/);
});

test("an engine that cannot start is said to be lost, with its last words in the log", async (context) => {
  const lines: string[] = [];
  const broken = join(mkdtempSync(join(tmpdir(), "ls-")), "server.js");
  writeFileSync(broken, "console.error('no such library'); process.exit(3)");
  context.after(() => rmSync(dirname(broken), { recursive: true }));
  const { open } = machine(context, { args: [broken], script: broken });
  await assert.rejects(open({ onLog: (line) => void lines.push(line) }), { code: "engine-lost" });
  assert.deepEqual(lines, ["This window has an engine of its own: it ended with status 3.", "no such library"]);
});

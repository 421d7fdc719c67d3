import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { EngineClient } from "../../engine/client.ts";
import { LongsightError } from "../../engine/errors.ts";
import { packageRoot } from "../../engine/paths.ts";
import { PROTOCOL_VERSION, type Progress, requests } from "../../engine/protocol.ts";
import { cacheEnv, folderWith, PROJECT } from "./run-cli.ts";

const args = ["--disable-warning=ExperimentalWarning", join(packageRoot, "engine", "server.ts")];
const folder = folderWith(PROJECT);
after(() => rmSync(folder, { recursive: true }));

/** An engine of its own, which ends with the test however that ends. */
async function start(context: TestContext, onLost?: (reason: LongsightError) => void): Promise<EngineClient> {
  const client = await EngineClient.start({ command: process.execPath, args, env: cacheEnv(), onLost });
  context.after(() => client.close());
  return client;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function untilGone(pid: number): Promise<void> {
  for (let i = 0; i < 200 && isAlive(pid); i++) await delay(50);
  assert.equal(isAlive(pid), false, "the engine process is still there");
}

test("the engine answers over its protocol, reports as it works and ends when closed", async (context) => {
  const client = await start(context);
  const seen: Progress[] = [];
  const params = { folder, question: "who takes the oldest job from the queue?" };
  const answer = await client.request(requests.ask, params, { onProgress: (progress) => seen.push(progress) });
  assert.equal(answer.citations[0].file, "src/queue.ts");
  assert.deepEqual(
    seen.filter(({ kind }) => kind !== "work").map(({ kind }) => kind),
    ["citations", "text"],
  );
  const status = await client.request(requests.status, {});
  assert.equal(status.pid, client.pid);
  assert.equal(status.folders.length, 1);
  const completion = await client.request(requests.complete, { path: "a.ts", prefix: "const a = ", suffix: "\n" });
  assert.equal(typeof completion.text, "string");
  // What was indexed is encoded in the background, and completions look at it.
  for (let i = 0; i < 200; i++) {
    const [memory] = Object.values((await client.request(requests.status, {})).memories);
    if (memory?.filesTotal > 0 && memory.filesEncoded === memory.filesTotal) break;
    await delay(50);
  }
  const place = { folder, path: "src/new.ts", prefix: "const a = ", suffix: "\n" };
  const { memory } = await client.request(requests.complete, place);
  assert.ok(memory?.layers.every(({ blocks }) => blocks.length >= Object.keys(PROJECT).length));
  assert.equal((await client.request(requests.encode, { folder }))?.filesEncoded, 0);
  await client.close();
  await untilGone(status.pid);
});

test("a folder is forecast, and its encoding held until it may go on", async (context) => {
  const client = await start(context);
  const statusOfMemory = async () => Object.values((await client.request(requests.status, {})).memories)[0];
  const forecast = await client.request(requests.forecast, { folder });
  assert.equal(forecast.isIndexed, false);
  assert.equal(forecast.files, Object.keys(PROJECT).length);
  await client.request(requests.pauseEncoding, { folder, isPaused: true });
  await client.request(requests.index, { folder });
  for (let i = 0; i < 200 && !(await statusOfMemory())?.filesTotal; i++) await delay(50);
  await delay(200);
  const { filesEncoded, filesTotal, isPaused } = await statusOfMemory();
  assert.deepEqual({ filesEncoded, isPaused }, { filesEncoded: 0, isPaused: true });
  await client.request(requests.pauseEncoding, { folder, isPaused: false });
  for (let i = 0; i < 200 && (await statusOfMemory()).filesEncoded < filesTotal; i++) await delay(50);
  assert.equal((await statusOfMemory()).filesEncoded, filesTotal);
  assert.equal((await client.request(requests.forecast, { folder })).isIndexed, true);
});

test("an error keeps its code and sentence across the border", async (context) => {
  const client = await start(context);
  const asked = client.request(requests.ask, { folder: join(folder, "missing"), question: "where is it parsed?" });
  await assert.rejects(asked, (error) => error instanceof LongsightError && error.code === "not-found");
});

test("a request is cancelled while it runs, and the engine goes on", async (context) => {
  const client = await start(context);
  const abort = new AbortController();
  const generated = client.request(
    requests.generate,
    { prompt: "def ", maxTokens: 100_000 },
    { signal: abort.signal, onProgress: () => abort.abort() },
  );
  await assert.rejects(generated, (error) => error instanceof LongsightError && error.code === "cancelled");
  const { nTokens } = await client.request(requests.generate, { prompt: "def ", maxTokens: 2 });
  assert.ok(nTokens <= 2);
});

test("a killed engine fails what is pending, and is reported once", async (context) => {
  const lost: LongsightError[] = [];
  const client = await start(context, (reason) => lost.push(reason));
  const pending = client.request(requests.generate, { prompt: "def ", maxTokens: 100_000 });
  process.kill(client.pid ?? 0, "SIGKILL");
  await assert.rejects(pending, (error) => error instanceof LongsightError && error.code === "engine-lost");
  await assert.rejects(
    client.request(requests.status, {}),
    (error) => (error as LongsightError).code === "engine-lost",
  );
  assert.equal(lost.length, 1);
  assert.match(lost[0].message, /SIGKILL/);
});

test("an engine that cannot start is lost, not awaited", async () => {
  const starting = EngineClient.start({ command: process.execPath, args: ["-e", "process.exit(3)"] });
  await assert.rejects(starting, (error) => (error as LongsightError).code === "engine-lost");
});

test("another protocol version is refused in one sentence", async (context) => {
  const client = await start(context);
  const greeting = { protocolVersion: PROTOCOL_VERSION + 1, clientPid: process.pid };
  await assert.rejects(client.request(requests.initialize, greeting), /reload the window/);
});

test("no orphan: the engine ends when its client is killed", async () => {
  const script = `
    import { EngineClient } from ${JSON.stringify(join(packageRoot, "engine", "client.ts"))};
    const client = await EngineClient.start({ command: process.execPath, args: ${JSON.stringify(args)} });
    console.log(client.pid);
    setInterval(() => {}, 1000);`;
  const child = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", "--input-type=module-typescript", "-e", script],
    {
      env: cacheEnv(),
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const pid = await new Promise<number>((resolve) => child.stdout.once("data", (data) => resolve(Number(data))));
  assert.ok(isAlive(pid));
  child.kill("SIGKILL");
  await untilGone(pid);
});

test("an answer is written by the client's model where the client has one, and held to the passages", async (context) => {
  const client = await start(context);
  const question = "who takes the oldest job from the queue?";
  const clientModel = { name: "theirs", contextTokens: 8192 };
  const pieces: string[] = [];
  const answer = await client.request(
    requests.ask,
    { folder, question, clientModel },
    {
      onProgress: (progress) => progress.kind === "text" && pieces.push(progress.text),
      write: async ({ messages, onText }) => {
        assert.match(messages.at(-1)?.content ?? "", /src\/queue\.ts[\s\S]*Question: who takes/);
        onText("The queue does [1]");
        onText(", not the moon [99].");
      },
    },
  );
  assert.equal(answer.model, "theirs");
  assert.equal(answer.answer, "The queue does [1], not the moon.");
  assert.equal(pieces.join(""), answer.answer);

  const failing = client.request(
    requests.ask,
    { folder, question, clientModel },
    {
      write: async () => {
        throw new LongsightError("bad-input", "The server is not there; start it.");
      },
    },
  );
  await assert.rejects(failing, { code: "bad-input", message: "The server is not there; start it." });

  const abort = new AbortController();
  const stopped = client.request(
    requests.ask,
    { folder, question, clientModel },
    {
      signal: abort.signal,
      write: ({ signal }) =>
        new Promise((_, reject) => {
          signal?.addEventListener("abort", () => reject(new LongsightError("cancelled", "Cancelled.")));
          abort.abort();
        }),
    },
  );
  await assert.rejects(stopped, { code: "cancelled" });
});

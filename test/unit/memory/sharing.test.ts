import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { openRemote, type Remote } from "../../../engine/memory/remote.ts";
import { pullMemory, pushMemory } from "../../../engine/memory/sharing.ts";
import { packageRoot } from "../../../engine/paths.ts";
import { sampleText, smallMemory, temporaryFolder } from "./small-memory.ts";

const files = () => new Map(Array.from({ length: 7 }, (_, i) => [`F/${i}.TS`, sampleText(i + 1, 60 * i)]));

/** One store pushes what it encoded, another one pulls it and has nothing left to encode. */
async function shares(context: TestContext, remote: Remote): Promise<void> {
  const dir = temporaryFolder(context);
  const first = await smallMemory(join(dir, "first"), files());
  await first.job().run();
  const second = await smallMemory(join(dir, "second"), files());
  assert.deepEqual(await pullMemory(second.memory, second.store, remote), {
    pulled: 0,
    absent: 7,
    damaged: 0,
    isFull: false,
  });
  const progress: string[] = [];
  const onProgress = (done: number, total: number) => progress.push(`${done}/${total}`);
  const { pushed, bytes } = await pushMemory(first.memory, first.store, remote, { onProgress });
  assert.equal(pushed, 7);
  assert.ok(bytes > 7 * 100);
  assert.deepEqual(progress, ["1/7", "2/7", "3/7", "4/7", "5/7", "6/7", "7/7"]);
  assert.deepEqual(await pushMemory(first.memory, first.store, remote), { pushed: 0, present: 7, bytes: 0 });
  assert.deepEqual(await pullMemory(second.memory, second.store, remote), {
    pulled: 7,
    absent: 0,
    damaged: 0,
    isFull: false,
  });
  assert.deepEqual(second.memory.missing, []);
  assert.equal(second.memory.nTokens, first.memory.nTokens);
  assert.deepEqual(second.log, []);
  // Another model finds nothing of its own there.
  const other = await smallMemory(join(dir, "other"), files(), { fingerprint: "another" });
  assert.deepEqual(await pullMemory(other.memory, other.store, remote), {
    pulled: 0,
    absent: 7,
    damaged: 0,
    isFull: false,
  });
  const aborted = { signal: AbortSignal.abort() };
  await assert.rejects(pushMemory(first.memory, first.store, remote, aborted), { code: "cancelled" });
  await assert.rejects(pullMemory(other.memory, other.store, remote, aborted), { code: "cancelled" });
  for (const { encoder } of [first, second, other]) await encoder.close();
}

/** A web server that keeps what is put. */
async function webServer(context: TestContext): Promise<{ url: string; stored: Map<string, Buffer> }> {
  const stored = new Map<string, Buffer>();
  const server = createServer(async (request, response) => {
    const name = request.url ?? "";
    if (request.method === "PUT") stored.set(name, Buffer.concat(await request.toArray()));
    const found = stored.get(name);
    response.statusCode = found ? 200 : 404;
    response.end(request.method === "GET" ? found : undefined);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/shared`, stored };
}

test("a memory is shared through a folder", async (context) => {
  await shares(context, openRemote(pathToFileURL(join(temporaryFolder(context), "shared")).href));
});

test("a memory is shared through a web server", async (context) => {
  const { url, stored } = await webServer(context);
  await shares(context, openRemote(url));
  assert.equal(stored.size, 7);
  for (const name of stored.keys()) assert.match(name, /^\/shared\/[0-9a-f]{2}\/[0-9a-f]{64}\.segment$/);
});

const S3_ENV = { AWS_ACCESS_KEY_ID: "S3RVER", AWS_SECRET_ACCESS_KEY: "S3RVER" };

/** An S3-compatible server with an empty bucket; the URL of its endpoint. */
async function s3Server(context: TestContext): Promise<string> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  const dir = temporaryFolder(context);
  const script = join(packageRoot, "node_modules", "s3rver", "bin", "s3rver.js");
  const args = ["--directory", dir, "--port", String(port), "--silent", "--configure-bucket", "team"];
  const server = spawn(process.execPath, ["--no-deprecation", script, ...args], { stdio: "ignore" });
  context.after(() => server.kill());
  const endpoint = `http://127.0.0.1:${port}`;
  for (let i = 0; ; i++) {
    try {
      await fetch(endpoint);
      return endpoint;
    } catch (error) {
      if (i === 200 || server.exitCode !== null) throw error;
      await delay(50);
    }
  }
}

test("a memory is shared through an S3 store, which refuses keys it does not know", async (context) => {
  const env = { ...S3_ENV, AWS_ENDPOINT_URL: await s3Server(context) };
  await shares(context, openRemote("s3://team/memory", env));
  const wrong = openRemote("s3://team/memory", { ...env, AWS_ACCESS_KEY_ID: "nobody" });
  await assert.rejects(wrong.has("x"), {
    code: "no-access",
    message: /status 403.*check the address and your keys\.$/,
  });
  const missing = openRemote("s3://nobody/memory", env);
  const path = join(temporaryFolder(context), "x");
  writeFileSync(path, "x");
  const refusal = { code: "no-access", message: /status 403.*check the address and your keys\.$/ };
  await assert.rejects(wrong.put("x", path), refusal);
  await assert.rejects(missing.put("x", path), { code: "no-access" });
});

test("what is not whole, or another file's, is not taken in", async (context) => {
  const dir = temporaryFolder(context);
  const shared = join(dir, "shared");
  mkdirSync(shared);
  const remote = openRemote(pathToFileURL(shared).href);
  const first = await smallMemory(join(dir, "first"), files());
  await first.job().run();
  await pushMemory(first.memory, first.store, remote);
  const paths = readdirSync(shared, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".segment"))
    .map((name) => join(shared, name));
  const whole = readFileSync(paths[0]);
  writeFileSync(paths[1], whole);
  const changed = readFileSync(paths[2]);
  changed[changed.length - 1] ^= 1;
  writeFileSync(paths[2], changed);
  writeFileSync(paths[3], readFileSync(paths[3]).subarray(0, 100));
  writeFileSync(paths[4], "");
  const second = await smallMemory(join(dir, "second"), files());
  assert.deepEqual(await pullMemory(second.memory, second.store, remote), {
    pulled: 3,
    absent: 0,
    damaged: 4,
    isFull: false,
  });
  assert.equal(second.log.length, 4);
  assert.deepEqual(readdirSync(join(dir, "second", "unfinished")), []);
  // The rest is encoded here.
  assert.equal((await second.job().run()).filesEncoded, 4);
  for (const { encoder } of [first, second]) await encoder.close();
});

test("pulling ends where the quota is used up, and drops nothing that the folder needs", async (context) => {
  const dir = temporaryFolder(context);
  const remote = openRemote(pathToFileURL(join(dir, "shared")).href);
  const many = new Map(Array.from({ length: 24 }, (_, i) => [`F/${i}.TS`, sampleText(i + 1, 200)]));
  const first = await smallMemory(join(dir, "first"), many);
  await first.job().run();
  await pushMemory(first.memory, first.store, remote);
  const sizes = [...first.memory.encoded()].map(({ segment }) => segment.sizeBytes);
  const quotaBytes = sizes.reduce((a, b) => a + b, 0) / 2;
  const second = await smallMemory(join(dir, "second"), many, { quotaBytes });
  const { pulled, absent, damaged, isFull } = await pullMemory(second.memory, second.store, remote);
  assert.ok(isFull && absent === 0 && damaged === 0 && pulled > 4 && pulled < sizes.length, `${pulled}`);
  assert.equal([...second.memory.encoded()].length, pulled);
  const stored = [...second.memory.encoded()].reduce((sum, { segment }) => sum + segment.sizeBytes, 0);
  assert.ok(stored < quotaBytes + 5 * Math.max(...sizes), `${stored} of ${quotaBytes}`);
  for (const { encoder } of [first, second]) await encoder.close();
});

test("a place that cannot be used is one sentence", async (context) => {
  for (const url of ["nonsense", "ftp://x/y", "/tmp/x"]) {
    assert.throws(() => openRemote(url), { code: "bad-input", message: /file:\/\/, https:\/\/ or s3:\/\/ URL\.$/ });
  }
  assert.throws(() => openRemote("s3://team/x", {}), { code: "bad-input", message: /set AWS_ACCESS_KEY_ID/ });
  const { url } = await webServer(context);
  const gone = openRemote(url.replace(/:\d+/, ":1"));
  await assert.rejects(gone.has("x"), { code: "no-access", message: /cannot be reached: .*; check the address\.$/ });
});

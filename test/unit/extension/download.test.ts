/** Downloads of models, against a server that breaks off, resumes, refuses and lies. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import fs from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { syncBuiltinESMExports } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, type TestContext, test } from "node:test";
import { inspectModel } from "../../../engine/models/inspect.ts";
import { download, fileNameOf } from "../../../extension/models/download.ts";
import { testData } from "../../data.ts";

const BYTES = Buffer.from(Array.from({ length: 300_000 }, (_, at) => at % 251));
const SHA256 = createHash("sha256").update(BYTES).digest("hex");

async function serve(context: TestContext, handler: (request: IncomingMessage, response: ServerResponse) => void) {
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const folder = mkdtempSync(join(tmpdir(), "longsight-download-"));
  context.after(() => {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/models/small.gguf`, folder };
}

/**
 * Sends a file as servers of models do: whole, or from where the request wants it on, if that is of the same version.
 * @param cutAfter ends the connection after so many bytes.
 */
function send(
  request: IncomingMessage,
  response: ServerResponse,
  { bytes = BYTES, version = { etag: '"1"' } as Record<string, string>, cutAfter = Number.POSITIVE_INFINITY } = {},
): void {
  const condition = request.headers["if-range"];
  const isSame = condition === undefined || Object.values(version).includes(String(condition));
  const from = isSame ? Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0) : 0;
  if (from >= bytes.length) {
    response.writeHead(416, { "content-range": `bytes */${bytes.length}` }).end();
    return;
  }
  const range = from > 0 ? { "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` } : {};
  const body = bytes.subarray(from);
  response.writeHead(from > 0 ? 206 : 200, { ...version, ...range, "content-length": body.length });
  if (cutAfter >= body.length) response.end(body);
  // What was written is to arrive before the end does.
  else response.write(body.subarray(0, cutAfter), () => setTimeout(() => response.destroy(), 200));
}

suite("download of a model", () => {
  test("the file arrives whole, its progress is told and its checksum compared", async (context) => {
    const { url, folder } = await serve(context, send);
    const seen: [number, number | null][] = [];
    const path = await download({ url, folder, sha256: SHA256.toUpperCase(), onProgress: (...at) => seen.push(at) });
    assert.equal(path, join(folder, "small.gguf"));
    assert.ok(readFileSync(path).equals(BYTES));
    assert.deepEqual(seen.at(-1), [BYTES.length, BYTES.length]);
    assert.deepEqual(readdirSync(folder), ["small.gguf"]);
  });

  test("what broke off goes on from there", async (context) => {
    const asked: (string | undefined)[][] = [];
    const { url, folder } = await serve(context, (request, response) => {
      asked.push([request.headers.range, request.headers["if-range"] as string]);
      send(request, response, asked.length === 1 ? { cutAfter: 100_000 } : {});
    });
    await assert.rejects(download({ url, folder, sha256: SHA256 }), /goes on (where it stopped|from there)/);
    assert.ok(!existsSync(join(folder, "small.gguf")));
    const seen: [number, number | null][] = [];
    const path = await download({ url, folder, sha256: SHA256, onProgress: (...at) => seen.push(at) });
    assert.ok(readFileSync(path).equals(BYTES));
    assert.deepEqual(asked, [[undefined, undefined], ["bytes=100000-", '"1"']]); // biome-ignore format: one row
    assert.ok(seen[0][0] > 100_000);
    assert.deepEqual(seen.at(-1), [BYTES.length, BYTES.length]);
    assert.deepEqual(readdirSync(folder), ["small.gguf"]);
  });

  test("a file that has changed since is fetched anew, not glued to the old one's beginning", async (context) => {
    const changed = Buffer.from(BYTES.map((byte) => 255 - byte));
    for (const heedsIfRange of [true, false]) {
      let requests = 0;
      const { url, folder } = await serve(context, (request, response) => {
        requests++;
        if (requests === 1) return send(request, response, { cutAfter: 100_000 });
        if (!heedsIfRange) delete request.headers["if-range"];
        send(request, response, { bytes: changed, version: { etag: '"2"' } });
      });
      await assert.rejects(download({ url, folder }));
      assert.ok(readFileSync(await download({ url, folder })).equals(changed));
      assert.equal(requests, heedsIfRange ? 2 : 3);
    }
  });

  test("a file without a version that can be told apart is fetched anew, and said to be", async (context) => {
    for (const version of [{}, { etag: 'W/"1"' }] as Record<string, string>[]) {
      const ranges: (string | undefined)[] = [];
      const { url, folder } = await serve(context, (request, response) => {
        ranges.push(request.headers.range);
        send(request, response, ranges.length === 1 ? { version, cutAfter: 100_000 } : { version });
      });
      await assert.rejects(download({ url, folder }), /begins anew/);
      assert.ok(readFileSync(await download({ url, folder })).equals(BYTES));
      assert.deepEqual(ranges, [undefined, undefined]);
    }
  });

  test("a date tells versions apart too", async (context) => {
    const version = { "last-modified": "Wed, 21 Oct 2015 07:28:00 GMT" };
    const ranges: (string | undefined)[] = [];
    const { url, folder } = await serve(context, (request, response) => {
      ranges.push(request.headers.range);
      send(request, response, ranges.length === 1 ? { version, cutAfter: 100_000 } : { version });
    });
    await assert.rejects(download({ url, folder }));
    assert.ok(readFileSync(await download({ url, folder })).equals(BYTES));
    assert.deepEqual(ranges, [undefined, "bytes=100000-"]);
  });

  test("all of it is here already, or more than there is", async (context) => {
    const { url, folder } = await serve(context, send);
    const part = join(folder, "small.gguf.part");
    for (const here of [BYTES, Buffer.concat([BYTES, BYTES])]) {
      writeFileSync(part, here);
      writeFileSync(`${part}.version`, '"1"');
      assert.ok(readFileSync(await download({ url, folder, sha256: SHA256 })).equals(BYTES));
    }
  });

  test("a server that does not resume is started over", async (context) => {
    let requests = 0;
    const { url, folder } = await serve(context, (request, response) => {
      delete request.headers.range;
      send(request, response, ++requests > 1 ? {} : { cutAfter: 100_000 });
    });
    await assert.rejects(download({ url, folder }));
    assert.ok(readFileSync(await download({ url, folder, sha256: SHA256 })).equals(BYTES));
  });

  test("cancelled, it stops, keeps what it has and goes on from there", async (context) => {
    const ranges: (string | undefined)[] = [];
    const { url, folder } = await serve(context, (request, response) => {
      ranges.push(request.headers.range);
      if (ranges.length > 1) return send(request, response);
      response.writeHead(200, { "content-length": BYTES.length, etag: '"1"' });
      response.write(BYTES.subarray(0, 100_000));
    });
    const abort = new AbortController();
    const onProgress = (done: number) => done === 100_000 && abort.abort();
    await assert.rejects(download({ url, folder, signal: abort.signal, onProgress }), { code: "cancelled" });
    assert.ok(existsSync(join(folder, "small.gguf.part")));
    assert.ok(readFileSync(await download({ url, folder, sha256: SHA256 })).equals(BYTES));
    assert.deepEqual(ranges, [undefined, "bytes=100000-"]);
  });

  test("what another window is downloading is left to it", async (context) => {
    const responses: ServerResponse[] = [];
    const { url, folder } = await serve(context, (_, response) => {
      responses.push(response);
      if (responses.length === 1) {
        response.writeHead(200, { "content-length": BYTES.length, etag: '"1"' }).write(BYTES.subarray(0, 100_000));
        return;
      }
      responses[0].write(BYTES.subarray(100_000, 150_000), () => {
        const range = `bytes 100000-${BYTES.length - 1}/${BYTES.length}`;
        const send = () =>
          response.writeHead(206, { "content-range": range, etag: '"1"' }).end(BYTES.subarray(100_000));
        // The first window writes what it gets before the second one gets anything.
        setTimeout(send, 200);
      });
    });
    const begun = Promise.withResolvers<void>();
    const onProgress = (done: number) => done >= 100_000 && begun.resolve();
    const first = download({ url, folder, sha256: SHA256, onProgress });
    await begun.promise;
    await assert.rejects(download({ url, folder, sha256: SHA256 }), {
      message: /^Another window is downloading this file; wait/,
    });
    responses[0].end(BYTES.subarray(150_000));
    assert.ok(readFileSync(await first).equals(BYTES));
  });

  test("a redirect is followed, also when it goes on, but not to where anybody could change the file", async (context) => {
    let requests = 0;
    const { url, folder } = await serve(context, (request, response) => {
      const { host } = request.headers;
      if (request.url === "/models/small.gguf") response.writeHead(302, { location: "/far/away?token=1" }).end();
      else if (request.url === "/models/unsafe.gguf") {
        response.writeHead(302, { location: `http://0.0.0.0:${host?.split(":")[1]}/far/away` }).end();
      } else send(request, response, ++requests === 1 ? { cutAfter: 100_000 } : {});
    });
    await assert.rejects(download({ url, folder, sha256: SHA256 }), /goes on/);
    assert.ok(readFileSync(await download({ url, folder, sha256: SHA256 })).equals(BYTES));
    assert.equal(requests, 2);
    const unsafe = url.replace("small", "unsafe");
    await assert.rejects(download({ url: unsafe, folder }), /leads to http:\/\/0\.0\.0\.0:\d+, which is not https;/);
    assert.deepEqual(readdirSync(folder), ["small.gguf"]);
  });

  test("a file that the disk has no room for is not begun", async (context) => {
    const { url, folder } = await serve(context, (_, response) => {
      response.writeHead(200, { "content-length": 2 ** 53 - 1 });
      response.write("GGUF");
    });
    const expected = { code: "disk-full", message: /^The file takes .* are free in .*; free space and try again\.$/ };
    await assert.rejects(download({ url, folder }), expected);
    assert.deepEqual(readdirSync(folder), []);
  });

  const full = existsSync("/dev/full") ? false : "there is no /dev/full, which is always full";
  test("a disk that becomes full is told in one sentence", { skip: full }, async (context) => {
    const { url, folder } = await serve(context, (request, response) => send(request, response, { version: {} }));
    const store = join(folder, "store");
    mkdirSync(store);
    // Everything that is written below goes to the device.
    symlinkSync("/dev/full", join(store, "small.gguf.part"));
    context.mock.method(fs, "rm", async () => {});
    syncBuiltinESMExports();
    context.after(() => {
      context.mock.restoreAll();
      syncBuiltinESMExports();
    });
    const expected = { code: "disk-full", message: "The disk is full; free space and try again." };
    await assert.rejects(download({ url, folder: store }), expected);
  });

  const stories = testData("models/stories260K/stories260K.gguf");
  test("a real model arrives over a broken line and can be read", { skip: stories.skip }, async (context) => {
    const bytes = readFileSync(stories.path);
    let requests = 0;
    const { url, folder } = await serve(context, (request, response) => {
      requests++;
      send(request, response, { bytes, cutAfter: requests < 4 ? Math.ceil(bytes.length / 5) : bytes.length });
    });
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    for (let broken = 0; broken < 3; broken++) await assert.rejects(download({ url, folder, sha256 }), /goes on/);
    const path = await download({ url, folder, sha256 });
    assert.equal(requests, 4);
    assert.ok(readFileSync(path).equals(bytes));
    assert.equal((await inspectModel(path)).architecture, "llama");
  });

  test("another file than the checksum is of is deleted", async (context) => {
    const { url, folder } = await serve(context, send);
    await assert.rejects(download({ url, folder, sha256: "0".repeat(64) }), /is not the file the checksum is of/);
    assert.ok(!existsSync(join(folder, "small.gguf")) && !existsSync(join(folder, "small.gguf.part")));
  });

  test("a refusal is one sentence", async (context) => {
    const { url, folder } = await serve(context, (_, response) => response.writeHead(404).end());
    await assert.rejects(download({ url, folder }), /refuses .* with status 404; check the address\.$/);
  });

  test("only https addresses of GGUF files, and this machine's own", () => {
    assert.equal(fileNameOf("https://example.com/a/Model-Q4.gguf?download=true"), "Model-Q4.gguf");
    assert.equal(fileNameOf("http://localhost:1/m.gguf"), "m.gguf");
    for (const url of [
      "http://example.com/m.gguf",
      "https://example.com/m.bin",
      "file:///m.gguf",
      "m.gguf",
      "https://example.com/..%2Fm.gguf%00",
      "https://example.com/%E0%A4%A.gguf",
    ]) {
      assert.equal(fileNameOf(url), undefined, url);
    }
  });
});

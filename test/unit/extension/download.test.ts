/** Downloads of models, against a server that breaks off, resumes, refuses and lies. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, type TestContext, test } from "node:test";
import { download, fileNameOf } from "../../../extension/models/download.ts";

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

/** Sends the file, from where the request wants it on. */
function send(request: IncomingMessage, response: ServerResponse): void {
  const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
  if (from >= BYTES.length) response.writeHead(416).end();
  else response.writeHead(from > 0 ? 206 : 200, { "content-length": BYTES.length - from }).end(BYTES.subarray(from));
}

suite("download of a model", () => {
  test("the file arrives whole, its progress is told and its checksum compared", async (context) => {
    const { url, folder } = await serve(context, send);
    const seen: [number, number | null][] = [];
    const path = await download({ url, folder, sha256: SHA256.toUpperCase(), onProgress: (...at) => seen.push(at) });
    assert.equal(path, join(folder, "small.gguf"));
    assert.ok(readFileSync(path).equals(BYTES));
    assert.deepEqual(seen.at(-1), [BYTES.length, BYTES.length]);
    assert.ok(!existsSync(`${path}.part`));
  });

  test("what broke off goes on from there", async (context) => {
    const ranges: (string | undefined)[] = [];
    const { url, folder } = await serve(context, (request, response) => {
      ranges.push(request.headers.range);
      if (ranges.length > 1) return send(request, response);
      response.writeHead(200, { "content-length": BYTES.length });
      response.write(BYTES.subarray(0, 100_000), () => setTimeout(() => response.destroy(), 200));
    });
    await assert.rejects(download({ url, folder, sha256: SHA256 }), /goes on (where it stopped|from there)/);
    assert.ok(!existsSync(join(folder, "small.gguf")));
    assert.ok(readFileSync(await download({ url, folder, sha256: SHA256 })).equals(BYTES));
    assert.match(ranges[1] ?? "", /^bytes=\d+-$/);
  });

  test("a server that does not resume is started over", async (context) => {
    let requests = 0;
    const { url, folder } = await serve(context, (_, response) => {
      response.writeHead(200, { "content-length": BYTES.length });
      if (++requests > 1) response.end(BYTES);
      else response.write(BYTES.subarray(0, 100_000), () => response.destroy());
    });
    await assert.rejects(download({ url, folder }));
    assert.ok(readFileSync(await download({ url, folder, sha256: SHA256 })).equals(BYTES));
  });

  test("cancelled, it stops and keeps what it has", async (context) => {
    const { url, folder } = await serve(context, (_, response) => {
      response.writeHead(200, { "content-length": BYTES.length });
      response.write(BYTES.subarray(0, 100_000));
    });
    const abort = new AbortController();
    const downloading = download({ url, folder, signal: abort.signal, onProgress: () => abort.abort() });
    await assert.rejects(downloading, { code: "cancelled" });
    assert.ok(existsSync(join(folder, "small.gguf.part")));
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
    ]) {
      assert.equal(fileNameOf(url), undefined, url);
    }
  });
});

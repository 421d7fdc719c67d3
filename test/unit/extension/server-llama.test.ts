/** The client of an OpenAI-compatible server against llama.cpp with a real model: streamed, left half-way, refused. */
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { suite, type TestContext, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { EngineClient } from "../../../engine/client.ts";
import { packageRoot } from "../../../engine/paths.ts";
import { requests } from "../../../engine/protocol.ts";
import { chatWithServer } from "../../../extension/models/server.ts";
import { testData } from "../../data.ts";
import { type LlamaServer, startLlamaServer } from "../../llama-server.ts";
import { cacheEnv, folderWith, PROJECT } from "../run-cli.ts";

const { path, skip } = testData("models/stories260K/stories260K.gguf");
const messages = [{ role: "user", content: "Once upon a time, there was a little girl named Lily." }];

/** A server for one test; the test is skipped, visibly, where llama.cpp has no build for this machine. */
async function serve(context: TestContext, apiKey?: string): Promise<LlamaServer | undefined> {
  const server = await startLlamaServer(path, { apiKey });
  if (!server) context.skip("llama.cpp is not installed for this platform");
  else context.after(() => server.close());
  return server;
}

async function ask(url: string, maxTokens: number, options: { apiKey?: string; signal?: AbortSignal } = {}) {
  const pieces: string[] = [];
  const onText = (piece: string) => pieces.push(piece);
  const { apiKey, signal } = options;
  await chatWithServer({ url, model: "stories", apiKey }, { messages, maxTokens, signal, onText });
  return pieces;
}

suite("llama.cpp behind an OpenAI-compatible server", { skip }, () => {
  test("its words arrive one by one, no more than were asked for, and end where it ends", async (context) => {
    const server = await serve(context);
    if (!server) return;
    const pieces = await ask(server.url, 24);
    assert.equal(server.nGenerated(), 24);
    assert.ok(pieces.length > 12, `${pieces.length} pieces`);
    assert.match(pieces.join(""), /^\s?[\w ,.'"!?\n]+$/);
    assert.match(pieces.join(""), /\b(she|Lily|the|a)\b/);
    const whole = await ask(server.url, 1000);
    assert.ok(whole.join("").startsWith(pieces.join("")));
    assert.ok(server.nGenerated() - 24 < 1000, "the story ends by itself");
  });

  test("it stops when the answer is no longer wanted, and answers the next question", async (context) => {
    const server = await serve(context);
    if (!server) return;
    const abort = new AbortController();
    let nPieces = 0;
    const onText = () => {
      if (++nPieces === 5) abort.abort();
    };
    const asked = chatWithServer(
      { url: server.url, model: "stories" },
      { messages, maxTokens: 6000, signal: abort.signal, onText },
    );
    await assert.rejects(asked, { code: "cancelled" });
    for (let i = 0; i < 400 && server.nLeft() === 0; i++) await delay(10);
    assert.equal(server.nLeft(), 1);
    assert.ok((await ask(server.url, 4)).length > 0);
  });

  test("a wrong key, a wrong address, too long a question: one sentence with what the server says", async (context) => {
    const server = await serve(context, "right");
    if (!server) return;
    for (const apiKey of ["wrong", undefined]) {
      const remedy = /status 401 \(.*Invalid API Key.*\); set its key with "Longsight: Set Server Key"\.$/;
      await assert.rejects(ask(server.url, 4, { apiKey }), remedy);
    }
    assert.ok((await ask(server.url, 4, { apiKey: "right" })).length > 0);
    const above = server.url.replace(/\/v1$/, "");
    await assert.rejects(ask(above, 4, { apiKey: "right" }), /status 404 .* check longsight\.server\.url/);
    const tooLong = /status 400 \(.*exceeds the available context size.*\)/;
    await assert.rejects(ask(server.url, 9000, { apiKey: "right" }), tooLong);
  });

  test("once it is gone, it cannot be reached", async (context) => {
    const server = await startLlamaServer(path);
    if (!server) return context.skip("llama.cpp is not installed for this platform");
    await server.close();
    await assert.rejects(ask(server.url, 4), /cannot be reached \(ECONNREFUSED\)/);
  });

  test("it writes the answer to a question about a folder, whose places are found here", async (context) => {
    const server = await serve(context);
    if (!server) return;
    const folder = folderWith(PROJECT);
    const args = ["--disable-warning=ExperimentalWarning", join(packageRoot, "engine", "server.ts")];
    const client = await EngineClient.start({ command: process.execPath, args, env: cacheEnv() });
    context.after(async () => {
      await client.close();
      rmSync(folder, { recursive: true });
    });
    const asked = { folder, question: "who takes the oldest job from the queue?" };
    const answer = await client.request(
      requests.ask,
      { ...asked, clientModel: { name: "stories", contextTokens: 2048 } },
      { write: (request) => chatWithServer({ url: server.url, model: "stories" }, request) },
    );
    assert.equal(answer.model, "stories");
    assert.equal(answer.citations[0].file, "src/queue.ts");
    assert.ok(answer.answer.length > 0);
    assert.ok(server.nGenerated() > 0);
  });
});

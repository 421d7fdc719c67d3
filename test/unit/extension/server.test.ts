/** A chat model behind a server: what arrives, what is said where something is wrong. */
import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { suite, test } from "node:test";
import { EventLines } from "../../../extension/models/event-lines.ts";
import { chatWithServer } from "../../../extension/models/server.ts";

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;

/** Runs `task` against a server of this kind; returns what it wrote. */
async function ask(handler: Handler, options: { apiKey?: string; signal?: AbortSignal } = {}): Promise<string> {
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += chunk;
    });
    request.on("end", () => handler(request, response, body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  let text = "";
  try {
    const messages = [{ role: "user", content: "Where?" }];
    await chatWithServer(
      { url, model: "m", apiKey: options.apiKey },
      {
        messages,
        maxTokens: 32,
        signal: options.signal,
        onText: (piece) => {
          text += piece;
        },
      },
    );
    return text;
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** A port that nobody listens on. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const event = (content: string) => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`;

suite("a server that writes answers", () => {
  test("gets the question and the key, and its pieces arrive in order", async () => {
    const text = await ask(
      (request, response, body) => {
        assert.equal(request.url, "/v1/chat/completions");
        assert.equal(request.headers.authorization, "Bearer secret");
        const { model, messages, stream, max_tokens: maxTokens } = JSON.parse(body);
        assert.deepEqual({ model, stream, maxTokens }, { model: "m", stream: true, maxTokens: 32 });
        assert.equal(messages[0].content, "Where?");
        response.write(`: comment\n\n${event("In ")}${event("ä")}`.slice(0, -40));
        response.end(`${(event("In ") + event("ä")).slice(-40)}data: [DONE]\n\n`);
      },
      { apiKey: "secret" },
    );
    assert.equal(text, "In ä");
  });

  test("refuses: the status, what it says, and what to do", async () => {
    await assert.rejects(
      ask((_, response) => response.writeHead(401).end('{"error":"no key"}')),
      /refuses with status 401 .*no key.*; set its key with "Longsight: Set Server Key"\.$/,
    );
    await assert.rejects(
      ask((_, response) => response.writeHead(404).end()),
      /refuses with status 404; check longsight\.server\.url/,
    );
  });

  test("answers something else: one sentence", async () => {
    await assert.rejects(
      ask((_, response) => response.end("<html>")),
      /is not a chat completion/,
    );
    await assert.rejects(
      ask((_, response) => response.end("data: {]\n\n")),
      /is not a chat completion/,
    );
    await assert.rejects(
      ask((_, response) => response.end('data: {"error":{"message":"out of memory"}}\n\n')),
      /says: out of memory/,
    );
  });

  test("is not there, or breaks off: one sentence", async () => {
    const nowhere = chatWithServer(
      { url: `http://127.0.0.1:${await closedPort()}/v1`, model: "m" },
      { messages: [], maxTokens: 1, onText: () => {} },
    );
    await assert.rejects(nowhere, /cannot be reached \(ECONNREFUSED\); check longsight\.server\.url/);
    await assert.rejects(
      ask((_, response) => {
        response.write(event("In "));
        setTimeout(() => response.destroy(), 20);
      }),
      /cannot be reached/,
    );
  });

  test("is left when the answer is no longer wanted", async () => {
    const abort = new AbortController();
    const asked = ask(
      (_, response) => {
        response.write(event("In "));
        setTimeout(() => abort.abort(), 20);
      },
      { signal: abort.signal },
    );
    await assert.rejects(asked, { code: "cancelled" });
  });

  test("events are read however the bytes are cut", () => {
    const bytes = new TextEncoder().encode("data: {ä}\r\nevent: x\ndata:[DONE]\n\n");
    for (let at = 0; at <= bytes.length; at++) {
      const lines = new EventLines();
      assert.deepEqual([...lines.push(bytes.subarray(0, at)), ...lines.push(bytes.subarray(at))], ["{ä}", "[DONE]"]);
    }
  });
});

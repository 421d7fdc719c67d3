/**
 * A small OpenAI-compatible server around llama.cpp, for tests of the client: a real model behind real HTTP, with the
 * form of llama.cpp's own server (chunks, the first with a role alone; errors; a key). One answer at a time, greedy.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { Llama, MAX_RUN_TOKENS } from "./bench/llama.ts";

const CONTEXT_TOKENS = 8192;

export interface LlamaServer {
  /** Up to and without "/chat/completions". */
  readonly url: string;
  /** Tokens generated since the start, over all answers. */
  nGenerated(): number;
  /** Answers that the client has left before their end. */
  nLeft(): number;
  close(): Promise<void>;
}

interface ChatBody {
  readonly model: string;
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  readonly max_tokens: number;
}

export interface LlamaServerOptions {
  /** Without it everybody is answered. */
  readonly apiKey?: string;
  /** How long a token takes at least: small models are done before anybody could stop them. */
  readonly tokenMs?: number;
}

/** Serves a GGUF file; undefined where llama.cpp is not installed. */
export async function startLlamaServer(
  modelPath: string,
  { apiKey, tokenMs = 0 }: LlamaServerOptions = {},
): Promise<LlamaServer | undefined> {
  const llama = await Llama.open(modelPath, { nThreads: 1, contextLength: CONTEXT_TOKENS });
  if (!llama) return undefined;
  let [nGenerated, nLeft] = [0, 0];
  let last: Promise<unknown> = Promise.resolve();

  const generate = async ({ model, messages, max_tokens: maxTokens }: ChatBody, response: ServerResponse) => {
    const prompt = llama.encode(messages.map(({ content }) => content).join("\n"));
    if (prompt.length + maxTokens > CONTEXT_TOKENS) {
      fail(response, 400, "exceed_context_size_error", "the request exceeds the available context size");
      return;
    }
    response.writeHead(200, { "content-type": "text/event-stream" });
    const send = (delta: object, finishReason: string | null) =>
      response.write(`data: ${JSON.stringify(chunk(model, delta, finishReason))}\n\n`);
    send({ role: "assistant", content: null }, null);
    let next = 0;
    for (let at = 0; at < prompt.length; at += MAX_RUN_TOKENS) {
      next = await llama.read(prompt.slice(at, at + MAX_RUN_TOKENS), at);
    }
    const ids: number[] = [];
    let said = "";
    while (!llama.isEnd(next) && ids.length < maxTokens && !response.closed) {
      ids.push(next);
      nGenerated++;
      // All of the text anew: half a character decodes to a replacement, which the next token changes.
      const text = llama.decode(ids);
      if (!text.endsWith("\ufffd")) {
        send({ content: text.slice(said.length) }, null);
        said = text;
      }
      if (tokenMs > 0) await delay(tokenMs);
      next = await llama.read([next], prompt.length + ids.length - 1);
    }
    if (response.closed) nLeft++;
    send({}, llama.isEnd(next) ? "stop" : "length");
    response.end("data: [DONE]\n\n");
  };

  let closed: Promise<void> | undefined;
  const close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await last;
    await llama.close();
  };

  const server = createServer(async (request, response) => {
    if (request.method !== "POST" || request.url !== "/v1/chat/completions") {
      fail(response, 404, "not_found_error", "File Not Found");
    } else if (apiKey !== undefined && request.headers.authorization !== `Bearer ${apiKey}`) {
      fail(response, 401, "authentication_error", "Invalid API Key");
    } else {
      const body = JSON.parse(await bodyOf(request)) as ChatBody;
      last = last.then(() => generate(body, response));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    nGenerated: () => nGenerated,
    nLeft: () => nLeft,
    close: () => {
      closed ??= close();
      return closed;
    },
  };
}

function chunk(model: string, delta: object, finishReason: string | null): object {
  const choices = [{ index: 0, delta, finish_reason: finishReason }];
  return { id: "chatcmpl-1", object: "chat.completion.chunk", created: 0, model, choices };
}

function fail(response: ServerResponse, code: number, type: string, message: string): void {
  response.writeHead(code, { "content-type": "application/json" });
  response.end(JSON.stringify({ error: { code, message, type } }));
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString("utf8");
}

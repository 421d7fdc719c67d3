/**
 * A chat model behind an OpenAI-compatible server that the user has configured (vLLM, SGLang, llama.cpp's server,
 * Ollama). It gets the question and the places found; searching stays on this machine.
 */
import { LongsightError } from "../../engine/errors.ts";
import { EventLines } from "./event-lines.ts";

export interface ServerOptions {
  /** Up to and without "/chat/completions", such as http://127.0.0.1:8000/v1. */
  readonly url: string;
  readonly model: string;
  readonly apiKey?: string;
}

export interface ChatRequest {
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  readonly maxTokens: number;
  readonly signal?: AbortSignal;
  readonly onText: (piece: string) => void;
}

/** A server that says nothing for so long is taken for gone. */
const SILENCE_LIMIT_MS = 120_000;

/** Streams an answer. Errors: bad-input for a server that refuses or cannot be reached or understood; cancelled. */
export async function chatWithServer({ url, model, apiKey }: ServerOptions, request: ChatRequest): Promise<void> {
  const { messages, maxTokens, signal, onText } = request;
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE_LIMIT_MS);
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), SILENCE_LIMIT_MS);
  };
  try {
    const response = await fetch(`${url}/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", ...(apiKey ? { authorization: `Bearer ${apiKey}` } : {}) },
      body: JSON.stringify({ model, messages, max_tokens: maxTokens, stream: true }),
      signal: signal ? AbortSignal.any([signal, silence.signal]) : silence.signal,
    });
    if (!response.ok || !response.body) throw await refusal(url, response);
    const lines = new EventLines();
    let said = false;
    for await (const bytes of response.body) {
      heard();
      for (const data of lines.push(bytes)) {
        if (data === "[DONE]") return;
        const piece = textOf(data, url);
        if (piece !== "") onText(piece);
        said = true;
      }
    }
    if (!said) throw garbled(url);
  } catch (error) {
    if (signal?.aborted) throw new LongsightError("cancelled", "Cancelled.");
    if (error instanceof LongsightError) throw error;
    const reason = silence.signal.aborted ? "it says nothing" : causeOf(error);
    throw new LongsightError(
      "bad-input",
      `The server ${url} cannot be reached (${reason}); check longsight.server.url.`,
    );
  } finally {
    clearTimeout(timer);
  }
}

/** The text in one event of the stream. */
function textOf(data: string, url: string): string {
  try {
    const { choices, error } = JSON.parse(data) as {
      choices?: { delta?: { content?: unknown } }[];
      error?: { message?: string };
    };
    if (error) throw new LongsightError("bad-input", `The server ${url} says: ${error.message ?? "an error"}.`);
    if (!Array.isArray(choices)) throw garbled(url);
    const content = choices[0]?.delta?.content;
    return typeof content === "string" ? content : "";
  } catch (error) {
    throw error instanceof LongsightError ? error : garbled(url);
  }
}

async function refusal(url: string, response: Response): Promise<LongsightError> {
  const text = await response.text().catch(() => "");
  const detail = text.slice(0, 200).replaceAll(/\s+/g, " ").trim();
  const remedy =
    response.status === 401 || response.status === 403
      ? 'set its key with "Longsight: Set Server Key"'
      : "check longsight.server.url and longsight.server.model";
  return new LongsightError(
    "bad-input",
    `The server ${url} refuses with status ${response.status}${detail && ` (${detail})`}; ${remedy}.`,
  );
}

function garbled(url: string): LongsightError {
  return new LongsightError(
    "bad-input",
    `What the server ${url} answers is not a chat completion; check that longsight.server.url ends where /chat/completions follows.`,
  );
}

function causeOf(error: unknown): string {
  const { cause, message } = error as { cause?: { code?: string; message?: string }; message?: string };
  return cause?.code ?? cause?.message ?? message ?? String(error);
}

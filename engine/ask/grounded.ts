/** Prose from a chat model, held to the passages it was given: the prompt, and the check of every citation mark. */
import { LongsightError } from "../errors.ts";
import type { FoundPlace } from "../memory/placed-context.ts";
import type { MemoryTrace } from "../memory/trace.ts";
import type { ChatMessage } from "../models/chat-template.ts";
import type { Passage } from "./passage.ts";

/** What answering needs of a chat model. */
export interface ChatModel {
  /** The model's name as shown to the user. */
  readonly name: string;
  /** Tokens the model can hold, prompt and answer together. */
  readonly contextTokens: number;
  countTokens(text: string): number;
  /** Gives the answer to `onText` piece by piece. Errors: cancelled, when `signal` aborts. */
  chat(request: {
    readonly messages: readonly ChatMessage[];
    readonly maxTokens: number;
    readonly signal?: AbortSignal;
    readonly onText: (piece: string) => void;
  }): Promise<void>;
  /**
   * Looks for the places in the model's memory of the folder; undefined where it has none or nothing of use is in it.
   * Errors: cancelled.
   */
  recall?(question: string, places: readonly FoundPlace[], signal?: AbortSignal): Promise<Recalled | undefined>;
}

/** What a model has in memory while it answers a question. */
export interface Recalled extends Pick<ChatModel, "chat"> {
  /** Tokens that are left to prompt and answer. */
  readonly contextTokens: number;
  /** Whether all of each place is in memory. */
  readonly holds: readonly boolean[];
  trace(): MemoryTrace;
}

/** Prompt tokens spent on passages; more makes a small model slower and no better. */
const PASSAGE_TOKENS = 3000;
const ANSWER_TOKENS = 512;
/** What the chat template and the line before each passage add, about. */
const OVERHEAD_TOKENS = 64;

const INSTRUCTIONS = `You answer questions about a code repository from numbered passages of its files.
Use only what the passages say. After each statement put the number of the passage it comes from, like [1].
If the passages do not answer the question, say that they do not. Be brief.`;
/** Of a passage that is not repeated as text. */
const ABOVE = "(stands above)";

/**
 * The messages for a question, with as many of the passages, best first, as the model has room for; `nGiven` says how
 * many. Passages that are held in memory are only named. Errors: bad-input, when not even the question and one passage fit.
 */
export function groundedPrompt(
  question: string,
  passages: readonly Passage[],
  model: Pick<ChatModel, "contextTokens" | "countTokens">,
  holds: readonly boolean[] = [],
): { messages: ChatMessage[]; nGiven: number } {
  const fixed = model.countTokens(INSTRUCTIONS) + model.countTokens(question) + OVERHEAD_TOKENS;
  const room = Math.min(PASSAGE_TOKENS, model.contextTokens - ANSWER_TOKENS - fixed);
  const given: string[] = [];
  let used = 0;
  for (const [index, { file, startLine, endLine, text }] of passages.entries()) {
    const block = `[${index + 1}] ${file}, lines ${startLine} to ${endLine}\n${holds[index] ? ABOVE : text}\n`;
    used += model.countTokens(block);
    if (used > room) break;
    given.push(block);
  }
  if (given.length === 0) {
    throw new LongsightError("bad-input", "The question is too long for this model; shorten it or use a larger model.");
  }
  const messages: ChatMessage[] = [
    { role: "system", content: INSTRUCTIONS },
    { role: "user", content: `${given.join("\n")}\nQuestion: ${question}` },
  ];
  return { messages, nGiven: given.length };
}

/** Generates the answer. `onText` gets it piece by piece, already checked: marks of passages not given are dropped. */
export async function generateAnswer(
  model: Pick<ChatModel, "chat">,
  messages: readonly ChatMessage[],
  nGiven: number,
  options: { readonly signal?: AbortSignal; readonly onText?: (piece: string) => void },
): Promise<string> {
  const filter = new MarkFilter(nGiven);
  let answer = "";
  const emit = (piece: string) => {
    if (piece === "") return;
    answer += piece;
    options.onText?.(piece);
  };
  const onText = (piece: string) => emit(filter.push(piece));
  await model.chat({ messages, maxTokens: ANSWER_TOKENS, signal: options.signal, onText });
  emit(filter.end());
  return answer.trim();
}

/** The numbers of the passages that an answer cites, in the order of their first mark. */
export function citedNumbers(answer: string): number[] {
  return [...new Set([...answer.matchAll(/\[(\d+)\]/g)].map(([, n]) => Number(n)))];
}

/** Rewrites [1, 3] to [1][3] and drops marks of passages that do not exist, in text that comes in pieces. */
export class MarkFilter {
  readonly #nGiven: number;
  #held = "";

  constructor(nGiven: number) {
    this.#nGiven = nGiven;
  }

  /** The text that is certain after one more piece. What may become a mark is held back. */
  push(piece: string): string {
    const text = this.#held + piece;
    const open = /\s*(?:\[[\d,\s]*)?$/.exec(text)!;
    this.#held = open[0];
    return this.#checked(text.slice(0, open.index));
  }

  /** What is still held back when the text ends. */
  end(): string {
    const rest = this.#held;
    this.#held = "";
    return this.#checked(rest);
  }

  #checked(text: string): string {
    return text.replace(/(\s*)\[([\d,\s]*\d[\d,\s]*)\]/g, (_, space: string, numbers: string) => {
      const known = numbers
        .split(/[,\s]+/)
        .map(Number)
        .filter((n) => n >= 1 && n <= this.#nGiven);
      return known.length === 0 ? "" : space + known.map((n) => `[${n}]`).join("");
    });
  }
}

/** Generates text with any model: reads the prompt, then samples and reads one token after another. */
import { LongsightError } from "../errors.ts";
import { StreamDecoder } from "../models/tokenizer/stream.ts";
import type { Tokenizer } from "../models/types.ts";
import type { TextReader } from "./reader.ts";
import { Sampler, type SamplingOptions } from "./sampler.ts";

export interface GenerateOptions extends SamplingOptions {
  /** The longest text to generate, in tokens. */
  readonly maxTokens: number;
  /** Texts that end the generation; they are not part of it. */
  readonly stop?: readonly string[];
  /** Observed between two session runs. */
  readonly signal?: AbortSignal;
  /** Called with each new piece of text; all pieces joined are the result's text. */
  readonly onText?: (piece: string) => void;
  /** Ids that end the generation, instead of the tokenizer's own. */
  readonly stopIds?: readonly number[];
}

export interface Generated {
  readonly text: string;
  /** Tokens generated, without the one that ended the text. */
  readonly nTokens: number;
  /** The model ended it, a stop text came, or maxTokens or the model's context was used up. */
  readonly stoppedBy: "model" | "stop" | "length";
  readonly timingsMs: { readonly prompt: number; readonly total: number };
}

/**
 * Continues the text `ids`. Half a character at the end is left out. Errors: bad-input for settings out of range, an
 * empty prompt or one that fills the model's context; cancelled.
 */
export async function generate(
  reader: TextReader,
  tokenizer: Pick<Tokenizer, "bytes" | "stopIds">,
  ids: readonly number[],
  options: GenerateOptions,
): Promise<Generated> {
  const startedAt = performance.now();
  const { maxTokens, stop = [], signal, onText, stopIds = tokenizer.stopIds } = options;
  check(reader, ids, maxTokens, stop);
  const sampler = new Sampler(options);
  const decoder = new StreamDecoder(tokenizer);
  const output = new StoppableText(stop, onText);

  const text = [...ids];
  let logits = await reader.readText(text, { signal });
  const prompt = performance.now() - startedAt;
  const finished = (stoppedBy: Generated["stoppedBy"]): Generated => ({
    text: output.end(),
    nTokens: text.length - ids.length,
    stoppedBy,
    timingsMs: { prompt, total: performance.now() - startedAt },
  });

  for (;;) {
    const id = sampler.next(logits, text);
    if (stopIds.includes(id)) return finished("model");
    text.push(id);
    if (output.push(decoder.push(id))) return finished("stop");
    if (text.length - ids.length >= maxTokens || text.length >= reader.contextLength) return finished("length");
    logits = await reader.readText(text, { signal });
  }
}

function check(reader: TextReader, ids: readonly number[], maxTokens: number, stop: readonly string[]): void {
  const refuse = (sentence: string) => {
    throw new LongsightError("bad-input", sentence);
  };
  if (!Number.isSafeInteger(maxTokens) || maxTokens < 1) {
    refuse(`A text of ${maxTokens} tokens is not possible; ask for one or more.`);
  }
  if (stop.some((text) => text === "" || !text.isWellFormed())) {
    refuse("A stop text is empty or holds half a character; give one or more whole characters.");
  }
  if (ids.length === 0) refuse("The prompt is empty; give at least one word.");
  if (ids.length >= reader.contextLength) {
    refuse(
      `The prompt has ${ids.length} tokens, the model reads and writes ${reader.contextLength} at most; shorten it.`,
    );
  }
}

/** Text given out piece by piece up to a stop text. What may yet become part of one is held back. */
class StoppableText {
  readonly #stop: readonly string[];
  readonly #onText: ((piece: string) => void) | undefined;
  #given = "";
  #held = "";

  constructor(stop: readonly string[], onText?: (piece: string) => void) {
    this.#stop = stop;
    this.#onText = onText;
  }

  /** Adds a piece; true where a stop text is complete, which ends the text before it. */
  push(piece: string): boolean {
    this.#held += piece;
    const starts = this.#stop.map((stop) => this.#held.indexOf(stop)).filter((at) => at >= 0);
    if (starts.length > 0) {
      this.#held = this.#held.slice(0, Math.min(...starts));
      return true;
    }
    this.#give(this.#held.length - this.#nPossible());
    return false;
  }

  /** Gives out what is held back; the whole text. */
  end(): string {
    this.#give(this.#held.length);
    return this.#given;
  }

  /** The length of the longest end of the held text that begins a stop text. */
  #nPossible(): number {
    let longest = 0;
    for (const stop of this.#stop) {
      for (let n = Math.min(stop.length - 1, this.#held.length); n > longest; n--) {
        if (this.#held.endsWith(stop.slice(0, n))) longest = n;
      }
    }
    return longest;
  }

  #give(nChars: number): void {
    if (nChars === 0) return;
    const piece = this.#held.slice(0, nChars);
    this.#held = this.#held.slice(nChars);
    this.#given += piece;
    this.#onText?.(piece);
  }
}

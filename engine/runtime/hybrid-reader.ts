/**
 * Texts on the default model. Its state cannot go back, so copies of it are kept on the way: when a text changes, it is
 * read again only from the last copy before the change.
 */
import type { HybridDecoder } from "./hybrid.ts";
import type { HybridState } from "./hybrid-state.ts";
import { commonPrefix, type ReadTextOptions, type TextReader } from "./reader.ts";

/** Tokens between two copies; one copy has about 1 MB. */
const SPACING_TOKENS = 256;

/** One more copy stands so many tokens before a prompt's end, since typing changes and follows the last tokens. */
const TAIL_TOKENS = 8;

const MAX_COPIES = 8;

export class HybridReader implements TextReader {
  readonly contextLength: number;
  readonly #decoder: HybridDecoder;
  /** The text that #state has read. */
  #ids: readonly number[] = [];
  #state: HybridState;
  /** States after beginnings of that text, shortest first. */
  #copies: HybridState[] = [];

  constructor(decoder: HybridDecoder) {
    this.#decoder = decoder;
    this.contextLength = decoder.config.trainedLength;
    this.#state = decoder.start();
  }

  async readText(ids: readonly number[], { signal }: ReadTextOptions = {}): Promise<Float32Array> {
    this.#goBack(Math.min(commonPrefix(this.#ids, ids), ids.length - 1));
    for (const end of this.#stops(ids.length)) {
      const { logits } = await this.#decoder.read(this.#state, ids.slice(this.#state.nTokens, end), { signal });
      this.#ids = ids.slice(0, end);
      if (end === ids.length) return logits;
      this.#copies.push(this.#state.fork());
      if (this.#copies.length > MAX_COPIES) this.#copies.shift();
    }
    throw new Error("a text without tokens cannot be read");
  }

  /** Makes the state one that has read at most the first `nTokens` of its text. */
  #goBack(nTokens: number): void {
    if (this.#state.nTokens === this.#ids.length && this.#ids.length <= nTokens) return;
    this.#copies = this.#copies.filter((copy) => copy.nTokens <= nTokens);
    this.#state = this.#copies.at(-1)?.fork() ?? this.#decoder.start();
    this.#ids = this.#ids.slice(0, this.#state.nTokens);
  }

  /** Where reading on to `end` stops for a copy, and the end itself. */
  #stops(end: number): number[] {
    const from = this.#state.nTokens;
    const stops = new Set([end]);
    if (end - TAIL_TOKENS > from) stops.add(end - TAIL_TOKENS);
    for (let stop = from - (from % SPACING_TOKENS) + SPACING_TOKENS; stop < end; stop += SPACING_TOKENS)
      stops.add(stop);
    return [...stops].sort((a, b) => a - b);
  }
}

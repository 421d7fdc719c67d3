/**
 * Texts on the default model. Its state cannot go back, so copies of it are kept on the way: when a text changes, it is
 * read again only from the last copy before the change. With a repository memory a text's last piece attends to the blocks
 * that its own tokens ask for: it is read twice. Those before it attend to what was chosen before.
 */
import type { HybridDecoder } from "./hybrid.ts";
import { type RoutedMemory, Routing } from "./hybrid-routing.ts";
import type { HybridState } from "./hybrid-state.ts";
import { commonPrefix, type DraftReader, type ReadTextOptions, rowsOf } from "./reader.ts";

/** Tokens between two copies; one copy has about 1 MB. What they saw of a memory hardly matters to those behind them. */
const SPACING_TOKENS = 256;

/** One more copy stands so many tokens before a prompt's end, since typing changes and follows the last tokens. */
const TAIL_TOKENS = 8;

const MAX_COPIES = 8;

/**
 * The state goes on beyond the length the model was trained with: measured on held-out code, tokens 4,096 to 40,000 are
 * read as well as the first 512, and lines better with prompts of 1,024 tokens than of 512. Further was not measured.
 */
const CONTEXT_TOKENS = 32_768;

interface ReadPart {
  readonly memory: RoutedMemory | undefined;
  readonly signal?: AbortSignal;
  readonly nRows: number;
  /** So many ids are read twice, the first time for what they ask for; undefined for a piece with more behind it. */
  readonly nAhead: number | undefined;
}

/** A beginning of the text, and what the model carries after it. */
interface Copy {
  readonly state: HybridState;
  readonly routing: Routing;
}

export class HybridReader implements DraftReader {
  readonly contextLength = CONTEXT_TOKENS;
  readonly #decoder: HybridDecoder;
  /** The text that #state has read. */
  #ids: readonly number[] = [];
  #state: HybridState;
  #routing: Routing;
  #memory: RoutedMemory | undefined;
  /** After beginnings of that text, shortest first. */
  #copies: Copy[] = [];
  /** Where the last guess began, for its being taken back. */
  #beforeDraft: Copy | undefined;

  constructor(decoder: HybridDecoder) {
    this.#decoder = decoder;
    this.#state = decoder.start();
    this.#routing = new Routing(decoder.config);
  }

  async readText(ids: readonly number[], options?: ReadTextOptions): Promise<Float32Array> {
    return (await this.readDraft(ids, [], options))[0];
  }

  async readDraft(
    ids: readonly number[],
    draft: readonly number[],
    { signal, memory }: ReadTextOptions = {},
  ): Promise<Float32Array[]> {
    // What was read without memory, or with one, cannot be gone on with otherwise.
    const isOther = (memory === undefined) !== (this.#memory === undefined);
    this.#goBack(isOther ? 0 : Math.min(commonPrefix(this.#ids, ids), ids.length - 1));
    const isNew = memory !== this.#memory;
    if (isNew) this.#routing.expire();
    this.#memory = memory;
    for (const end of this.#stops(ids.length)) {
      const isLast = end === ids.length;
      if (isLast && draft.length > 0) this.#beforeDraft = this.#copy();
      const added = isLast ? draft : [];
      const nRows = 1 + added.length;
      const own = ids.slice(this.#state.nTokens, end);
      // Tokens that are generated one by one keep a choice for a while.
      const nAhead = isNew || own.length > 1 ? own.length : 0;
      const logits = await this.#read([...own, ...added], {
        memory,
        signal,
        nRows,
        nAhead: isLast ? nAhead : undefined,
      });
      this.#ids = [...ids.slice(0, end), ...added];
      if (isLast) return rowsOf(logits, nRows);
      if (end % SPACING_TOKENS !== 0 && end !== ids.length - TAIL_TOKENS) continue;
      this.#copies.push(this.#copy());
      if (this.#copies.length > MAX_COPIES) this.#copies.shift();
    }
    throw new Error("a text without tokens cannot be read");
  }

  #copy(): Copy {
    return { state: this.#state.fork(), routing: this.#routing.fork() };
  }

  async #read(ids: readonly number[], { memory, signal, nRows, nAhead }: ReadPart): Promise<Float32Array> {
    if (memory === undefined) return (await this.#decoder.read(this.#state, ids, { signal, nRows })).logits;
    const kept = nAhead === undefined ? this.#routing.kept : undefined;
    const tokens = kept ?? (await this.#choose(ids, memory, nAhead || undefined, signal));
    const result = await this.#decoder.read(this.#state, ids, { signal, nRows, memory: tokens });
    this.#routing.push(result, ids);
    memory.attended?.(tokens, toMemory(result.attention, tokens.classes.length, this.#decoder.config.nHeads));
    return result.logits;
  }

  /** What ids that are to be read next shall see. */
  async #choose(ids: readonly number[], memory: RoutedMemory, nAhead: number | undefined, signal?: AbortSignal) {
    // The first tokens of a text have to ask for themselves.
    const n = nAhead ?? (this.#routing.isEmpty ? this.#decoder.config.routeGroup : 0);
    if (n === 0) return this.#routing.tokens(memory);
    const ahead = ids.slice(0, n);
    const asked = await this.#decoder.read(this.#state.fork(), ahead, { signal });
    return this.#routing.tokens(memory, { ...asked, tokens: ahead });
  }

  /** Makes the state one that has read at most the first `nTokens` of its text. */
  #goBack(nTokens: number): void {
    if (this.#state.nTokens === this.#ids.length && this.#ids.length <= nTokens) return;
    const reaches = ({ state }: Copy) => state.nTokens <= nTokens;
    this.#copies = this.#copies.filter(reaches);
    if (this.#beforeDraft && !reaches(this.#beforeDraft)) this.#beforeDraft = undefined;
    const longer = (a: Copy | undefined, b: Copy | undefined) =>
      b && !(a && a.state.nTokens > b.state.nTokens) ? b : a;
    const last = longer(this.#copies.at(-1), this.#beforeDraft);
    this.#state = last?.state.fork() ?? this.#decoder.start();
    this.#routing = last?.routing.fork() ?? new Routing(this.#decoder.config);
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

/** Of attention [nHeads, nKeys] the part to the memory's tokens, which come first: [nHeads, nTokens]. */
export function toMemory(attention: Float32Array, nTokens: number, nHeads: number): Float32Array {
  const nKeys = attention.length / nHeads;
  const part = new Float32Array(nHeads * nTokens);
  for (let head = 0; head < nHeads; head++) {
    part.set(attention.subarray(head * nKeys, head * nKeys + nTokens), head * nTokens);
  }
  return part;
}

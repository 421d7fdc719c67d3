/**
 * Which part of a memory a text attends to while it is read. A choice is kept while the routing query, the mean over the
 * last tokens, stays close to the one it was made for (RefreshKV, arXiv 2411.05787: a selection is re-used across decode
 * steps and refreshed when the query has moved away).
 */
import type { HybridConfig } from "../models/hybrid-config.ts";
import { groupQuery, type MemoryTokens, type ReadResult } from "./hybrid.ts";

/** A memory that is too large to attend to as a whole. */
export interface RoutedMemory {
  /**
   * What the memory layer shall see, given its routing query [routeSize] of unit length, and what its heads ask keys for,
   * [nHeads, headSize]: the mean over the last tokens, the score scale multiplied in.
   */
  select(query: Float32Array, heads?: Float32Array): MemoryTokens;
  /** Told the attention [nHeads, nTokens] of the newest token to what was selected. */
  attended?(tokens: MemoryTokens, weights: Float32Array): void;
}

/** At or below this cosine between the query and the one of the choice, blocks are chosen anew. */
const DRIFT_COSINE = 0.8;

/** What was chosen, and for which query. */
interface Choice {
  readonly query: Float32Array;
  readonly tokens: MemoryTokens;
}

/** What tokens of a text asked for: routing queries [n, routeSize], heads' queries [n, nHeads, headSize]. */
type Asked = Pick<ReadResult, "queries" | "heads">;

/** The queries of a text's last tokens and the choice they led to. */
export class Routing {
  readonly #config: HybridConfig;
  /** Of at most routeGroup tokens. */
  #recent: Asked | undefined;
  #choice: Choice | undefined;

  constructor(config: HybridConfig) {
    this.#config = config;
  }

  fork(): Routing {
    const copy = new Routing(this.#config);
    copy.#recent = this.#recent;
    copy.#choice = this.#choice;
    return copy;
  }

  /** Whether any token has been read. */
  get isEmpty(): boolean {
    return this.#recent === undefined;
  }

  /** Takes up what the tokens that were read asked for. */
  push({ queries, heads }: Asked): void {
    const { routeGroup, routeSize, hiddenSize } = this.#config;
    this.#recent = {
      queries: lastOf(this.#recent?.queries, queries, routeGroup * routeSize),
      heads: lastOf(this.#recent?.heads, heads, routeGroup * hiddenSize),
    };
  }

  /** Makes the next `tokens` choose anew. */
  expire(): void {
    this.#choice = undefined;
  }

  /** What shall be seen next; throws where no token has been read. */
  tokens(memory: RoutedMemory): MemoryTokens {
    const { routeSize, routeGroup, hiddenSize } = this.#config;
    if (!this.#recent) throw new Error("no token has asked for anything yet");
    const query = groupQuery(this.#recent.queries, routeSize, routeGroup);
    if (!this.#choice || cosine(this.#choice.query, query) <= DRIFT_COSINE) {
      this.#choice = { query, tokens: memory.select(query, meanRow(this.#recent.heads, hiddenSize)) };
    }
    return this.#choice.tokens;
  }
}

const NOTHING = new Float32Array(0);

/** The last `length` numbers of both. */
function lastOf(old: Float32Array = NOTHING, added: Float32Array, length: number): Float32Array {
  const all = new Float32Array(old.length + added.length);
  all.set(old);
  all.set(added, old.length);
  return all.slice(-length);
}

/** The mean of rows of `size` numbers. */
function meanRow(rows: Float32Array, size: number): Float32Array {
  const mean = new Float32Array(size);
  for (const [i, x] of rows.entries()) mean[i % size] += (x * size) / rows.length;
  return mean;
}

/** Of vectors of unit length. */
const cosine = (a: Float32Array, b: Float32Array) => a.reduce((sum, x, i) => sum + x * b[i], 0);

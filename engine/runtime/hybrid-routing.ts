/**
 * Which part of a memory a text attends to while it is read. A choice is kept while the routing query, the mean over the
 * last tokens, stays close to the one it was made for (RefreshKV, arXiv 2411.05787: a selection is re-used across decode
 * steps and refreshed when the query has moved away).
 */
import type { HybridConfig } from "../models/hybrid-config.ts";
import { groupQuery, type MemoryTokens, type ReadResult } from "./hybrid.ts";

/** By the index of a retrieval layer. */
export type ByLayer<T> = ReadonlyMap<number, T>;

/** A memory that is too large to attend to as a whole. */
export interface RoutedMemory {
  /**
   * What a retrieval layer shall see, given its routing query [routeSize] of unit length, and what its heads ask keys for,
   * [nHeads, headSize]: the mean over the last tokens, the score scale multiplied in.
   */
  select(layer: number, query: Float32Array, heads?: Float32Array): MemoryTokens;
  /** Told the attention [nHeads, nTokens] of the newest token to what was selected for a layer. */
  attended?(layer: number, tokens: MemoryTokens, weights: Float32Array): void;
}

/** At or below this cosine between the query and the one of the choice, blocks are chosen anew. */
const DRIFT_COSINE = 0.8;

/** What was chosen for a layer, and for which query. */
interface Choice {
  readonly query: Float32Array;
  readonly tokens: MemoryTokens;
}

/** What tokens of a text asked a layer for. */
interface Asked {
  readonly queries: Float32Array;
  readonly heads: Float32Array;
}

/** The queries of a text's last tokens and the choice they led to. */
export class Routing {
  readonly #config: HybridConfig;
  /** By layer, of at most routeGroup tokens: routing queries [n, routeSize], heads' queries [n, nHeads, headSize]. */
  #recent: ByLayer<Asked> = new Map();
  #choices = new Map<number, Choice>();

  constructor(config: HybridConfig) {
    this.#config = config;
  }

  fork(): Routing {
    const copy = new Routing(this.#config);
    copy.#recent = this.#recent;
    copy.#choices = new Map(this.#choices);
    return copy;
  }

  /** Whether any token has been read. */
  get isEmpty(): boolean {
    return this.#recent.size === 0;
  }

  /** Takes up what the tokens that were read asked for. */
  push({ queries, heads }: Pick<ReadResult, "queries" | "heads">): void {
    const { routeGroup, routeSize, hiddenSize } = this.#config;
    const recent = new Map<number, Asked>();
    for (const [layer, added] of queries) {
      const old = this.#recent.get(layer);
      recent.set(layer, {
        queries: lastOf(old?.queries, added, routeGroup * routeSize),
        heads: lastOf(old?.heads, heads.get(layer), routeGroup * hiddenSize),
      });
    }
    this.#recent = recent;
  }

  /** Makes the next `tokens` choose anew. */
  expire(): void {
    this.#choices.clear();
  }

  /** What each layer shall see next. */
  tokens(memory: RoutedMemory): ByLayer<MemoryTokens> {
    const { routeSize, routeGroup, hiddenSize } = this.#config;
    for (const [layer, { queries, heads }] of this.#recent) {
      const query = groupQuery(queries, routeSize, routeGroup);
      const choice = this.#choices.get(layer);
      if (choice && cosine(choice.query, query) > DRIFT_COSINE) continue;
      this.#choices.set(layer, { query, tokens: memory.select(layer, query, meanRow(heads, hiddenSize)) });
    }
    return new Map([...this.#choices].map(([layer, { tokens }]) => [layer, tokens]));
  }
}

const NOTHING = new Float32Array(0);

/** The last `length` numbers of both. */
function lastOf(old: Float32Array = NOTHING, added: Float32Array = NOTHING, length: number): Float32Array {
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

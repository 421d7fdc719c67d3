/**
 * Which part of a memory a text attends to while it is read. A choice is kept for some tokens, while the routing query, the
 * mean over the last ones, stays close to the one it was made for (RefreshKV, arXiv 2411.05787: a selection is re-used
 * across decode steps and refreshed when the query has moved away).
 */
import type { HybridConfig } from "../models/hybrid-config.ts";
import { cosine, groupQuery, type MemoryTokens, type ReadResult } from "./hybrid.ts";

/** What a text asks memory for. */
export interface MemoryQuery {
  /** The memory layer's routing query [routeSize] of the last tokens, of unit length. */
  readonly query: Float32Array;
  /** What its heads ask keys for, of the last few tokens: [n, nHeads, headSize], the score scale multiplied in. */
  readonly heads: Float32Array;
  /** The ids of the last tokens. */
  readonly tokens: readonly number[];
}

/** A memory that is too large to attend to as a whole. */
export interface RoutedMemory {
  /** What the memory layer shall see. */
  select(asked: MemoryQuery): MemoryTokens;
  /** Told the attention [nHeads, nTokens] of the newest token to what was selected. */
  attended?(tokens: MemoryTokens, weights: Float32Array): void;
}

/** At or below this cosine between the query and the one of the choice, blocks are chosen anew. */
const DRIFT_COSINE = 0.8;

/** Tokens after which they are in any case. */
const KEPT_TOKENS = 16;

/** What was chosen, and for which query. */
interface Choice {
  readonly query: Float32Array;
  readonly tokens: MemoryTokens;
  /** Tokens read with it. */
  nTokens: number;
}

/**
 * Of so many last tokens every second one's heads choose among blocks: behind a name the last ones tell where a value
 * stands, those before them whose.
 */
const ASKING_TOKENS = 8;

/** Tokens whose names look for blocks: what was chosen for in training is a whole file, which is more than asks now. */
const NAMING_TOKENS = 64;

/** What tokens of a text asked for: routing queries [n, routeSize], heads' queries [n, nHeads, headSize]. */
interface Asked extends Pick<ReadResult, "queries" | "heads"> {
  readonly tokens: readonly number[];
}

/** The queries of a text's last tokens and the choice they led to. */
export class Routing {
  readonly #config: HybridConfig;
  /** Of at most routeGroup, ASKING_TOKENS and NAMING_TOKENS tokens. */
  #recent: Asked | undefined;
  #choice: Choice | undefined;

  constructor(config: HybridConfig) {
    this.#config = config;
  }

  fork(): Routing {
    const copy = new Routing(this.#config);
    copy.#recent = this.#recent;
    copy.#choice = this.#choice && { ...this.#choice };
    return copy;
  }

  /** Whether any token has been read. */
  get isEmpty(): boolean {
    return this.#recent === undefined;
  }

  /** Takes up what the tokens `ids` that were read asked for. */
  push({ queries, heads }: Pick<ReadResult, "queries" | "heads">, ids: readonly number[]): void {
    if (this.#choice) this.#choice.nTokens += ids.length;
    this.#recent = this.#with({ queries, heads, tokens: ids });
  }

  #with({ queries, heads, tokens }: Asked): Asked {
    const { routeGroup, routeSize, hiddenSize } = this.#config;
    return {
      queries: lastOf(this.#recent?.queries, queries, routeGroup * routeSize),
      heads: lastOf(this.#recent?.heads, heads, ASKING_TOKENS * hiddenSize),
      tokens: [...(this.#recent?.tokens ?? []), ...tokens].slice(-NAMING_TOKENS),
    };
  }

  /** Makes the next `tokens` choose anew. */
  expire(): void {
    this.#choice = undefined;
  }

  /** What was chosen last, however long ago. */
  get kept(): MemoryTokens | undefined {
    return this.#choice?.tokens;
  }

  /** What shall be seen next, by what the tokens `ahead` ask for, too; throws where no token has asked. */
  tokens(memory: RoutedMemory, ahead?: Asked): MemoryTokens {
    const { routeSize, routeGroup, hiddenSize } = this.#config;
    const asked = ahead ? this.#with(ahead) : this.#recent;
    if (!asked) throw new Error("no token has asked for anything yet");
    const { queries, heads, tokens } = asked;
    const query = groupQuery(queries, routeSize, routeGroup);
    const isKept =
      !ahead && this.#choice && this.#choice.nTokens < KEPT_TOKENS && cosine(this.#choice.query, query) > DRIFT_COSINE;
    if (!this.#choice || !isKept) {
      this.#choice = {
        query,
        tokens: memory.select({ query, heads: everySecond(heads, hiddenSize), tokens }),
        nTokens: 0,
      };
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

/** Of rows of `size` numbers the last one, the last but two, and so on. */
function everySecond(rows: Float32Array, size: number): Float32Array {
  const n = rows.length / size;
  const kept = Array.from({ length: n }, (_, i) => i).filter((i) => (n - 1 - i) % 2 === 0);
  const half = new Float32Array(kept.length * size);
  for (const [at, i] of kept.entries()) half.set(rows.subarray(i * size, (i + 1) * size), at * size);
  return half;
}

/** What a text asks a memory for while it is read, and what it was shown last. */
import type { HybridConfig } from "../models/hybrid-config.ts";
import { groupQuery, type MemoryTokens, type ReadResult } from "./hybrid.ts";

/** What a text asks memory for. */
export interface MemoryQuery {
  /** The memory layer's routing query [routeSize] of the last tokens, of unit length. */
  readonly query: Float32Array;
  /** What its heads ask keys for, of the last few tokens: [nHeads, headSize] each, the score scale multiplied in. */
  readonly heads: readonly Float32Array[];
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

/**
 * Of so many last tokens every second one's heads choose among blocks: behind a name the last ones tell where a value
 * stands, those before them whose.
 */
const ASKING_TOKENS = 8;

/** Tokens whose names look for blocks: what was chosen for in training is a whole file, which is more than asks now. */
const NAMING_TOKENS = 64;

/** What tokens of a text ask for as the decoder tells it, and their ids. */
interface Read extends Pick<ReadResult, "queries" | "heads"> {
  readonly tokens: readonly number[];
}

/** The same, the heads' queries token by token. */
interface Asked extends Pick<MemoryQuery, "heads" | "tokens"> {
  /** [n, routeSize] */
  readonly queries: Float32Array;
}

/** The queries of a text's last tokens and the choice they led to. */
export class Routing {
  readonly #config: HybridConfig;
  /** Of at most routeGroup, ASKING_TOKENS and NAMING_TOKENS tokens. */
  #recent: Asked | undefined;
  #kept: MemoryTokens | undefined;

  constructor(config: HybridConfig) {
    this.#config = config;
  }

  fork(): Routing {
    const copy = new Routing(this.#config);
    copy.#recent = this.#recent;
    copy.#kept = this.#kept;
    return copy;
  }

  /** Whether any token has been read. */
  get isEmpty(): boolean {
    return this.#recent === undefined;
  }

  /** Takes up what the tokens `ids` that were read asked for. */
  push({ queries, heads }: Pick<ReadResult, "queries" | "heads">, ids: readonly number[]): void {
    this.#recent = this.#with({ queries, heads, tokens: ids });
  }

  #with({ queries, heads, tokens }: Read): Asked {
    const { routeGroup, routeSize, hiddenSize } = this.#config;
    return {
      queries: lastOf(this.#recent?.queries, queries, routeGroup * routeSize),
      heads: [...(this.#recent?.heads ?? []), ...rowsOf(heads, hiddenSize)].slice(-ASKING_TOKENS),
      tokens: [...(this.#recent?.tokens ?? []), ...tokens].slice(-NAMING_TOKENS),
    };
  }

  /** Forgets what was chosen. */
  expire(): void {
    this.#kept = undefined;
  }

  /** What was chosen last, however long ago. */
  get kept(): MemoryTokens | undefined {
    return this.#kept;
  }

  /** What shall be seen next, by what the tokens `ahead` ask for, too; throws where no token has asked. */
  tokens(memory: RoutedMemory, ahead?: Read): MemoryTokens {
    const { routeSize, routeGroup } = this.#config;
    const asked = ahead ? this.#with(ahead) : this.#recent;
    if (!asked) throw new Error("no token has asked for anything yet");
    const { queries, heads, tokens } = asked;
    const query = groupQuery(queries, routeSize, routeGroup);
    this.#kept = memory.select({ query, heads: everySecond(heads), tokens });
    return this.#kept;
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

/** Copies of the rows of `size` numbers. */
const rowsOf = (x: Float32Array, size: number) =>
  Array.from({ length: x.length / size }, (_, row) => x.slice(row * size, (row + 1) * size));

/** The last one, the last but two, and so on. */
const everySecond = <T>(rows: readonly T[]) => rows.filter((_, i) => (rows.length - 1 - i) % 2 === 0);

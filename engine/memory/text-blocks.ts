/** What was read of a memory's blocks for one text: most of them are asked for again by its next token. */
import type { MemoryBlock } from "../runtime/hybrid-memory.ts";
import { type Candidate, candidateOf } from "./block-scan.ts";
import type { Encoded, RepositoryMemory } from "./repository-memory.ts";

interface Read {
  /** Numbers of blocks that have left the memory are given to others. */
  readonly owner: Encoded;
  candidate?: Candidate;
  stored?: MemoryBlock;
  isRough?: boolean;
}

export class TextBlocks {
  readonly #memory: RepositoryMemory;
  readonly #classOf: (block: number) => number;
  readonly #read = new Map<number, Read>();

  /** `classOf`: what a block is to the text, an index into MEMORY_CLASSES. */
  constructor(memory: RepositoryMemory, classOf: (block: number) => number) {
    this.#memory = memory;
    this.#classOf = classOf;
  }

  /** The block as it is compared with others; undefined as with RepositoryMemory's `scan`. */
  candidate(block: number): Candidate | undefined {
    const read = this.#of(block);
    if (read.candidate) return read.candidate;
    const keys = this.#memory.scan(block);
    read.candidate = keys && candidateOf(keys, this.#memory.classBiases(this.#classOf(block)));
    return read.candidate;
  }

  /** The block as it is attended to, with rough keys or exact ones; undefined as with RepositoryMemory's `read`. */
  stored(block: number, isRough: boolean): MemoryBlock | undefined {
    const read = this.#of(block);
    if (read.stored && read.isRough === isRough) return read.stored;
    const tokens = this.#memory.read(block, isRough ? "rough" : "exact");
    read.stored = tokens && { tokens, start: 0, end: tokens.keys.scales.length, class: this.#classOf(block) };
    read.isRough = isRough;
    return read.stored;
  }

  #of(block: number): Read {
    const { owner } = this.#memory.at(block);
    const known = this.#read.get(block);
    if (known?.owner === owner) return known;
    const read = { owner };
    this.#read.set(block, read);
    return read;
  }
}

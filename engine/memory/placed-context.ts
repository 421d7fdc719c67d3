/**
 * What a text of a model without memory layers is given of a repository: blocks that were encoded before, placed in front
 * of the question, and the record of the attention they got.
 */
import type { PlacelessRows } from "../runtime/decoder.ts";
import type { StoredTokens } from "../runtime/hybrid-memory.ts";
import type { RepositoryMemory } from "./repository-memory.ts";
import type { MemoryTrace, TracedBlock } from "./trace.ts";

/** Lines of a file that retrieval by words has found. */
export interface FoundPlace {
  /** Path below the folder, with forward slashes. */
  readonly file: string;
  readonly startLine: number;
  readonly endLine: number;
}

export interface PlacedChoice {
  /** Found by words, best first. Their blocks come first: they find more than landmarks do. */
  readonly places: readonly FoundPlace[];
  /** Fills what room is left with the blocks whose landmarks are closest to it. */
  readonly query?: Float32Array;
  /** Whether blocks of a file may be chosen; those of every file if absent. */
  readonly isInside?: (path: string) => boolean;
  /** For all blocks together. */
  readonly maxTokens: number;
  /** The layer that the query and the looks are of. */
  readonly layer: number;
}

interface Placed extends Omit<TracedBlock, "mass" | "headMasses"> {
  readonly block: number;
  readonly tokens: StoredTokens;
  readonly nTokens: number;
  /** Whether it is the first one of its file. */
  readonly isStart: boolean;
}

export class PlacedContext {
  readonly nTokens: number;
  /** Whether the blocks hold all of each place. */
  readonly holds: readonly boolean[];
  readonly #memory: RepositoryMemory;
  readonly #layer: number;
  /** In the order in which they stand in the text. */
  readonly #blocks: readonly Placed[];
  /** What each head gave to each block, summed over the looks: [heads][blocks]. */
  #masses: Float64Array[] = [];
  readonly #selectMs: number;
  readonly #bytesRead: number;
  #looks = 0;

  constructor(memory: RepositoryMemory, choice: PlacedChoice) {
    const startMs = performance.now();
    const bytesBefore = memory.bytesRead;
    const { blocks, holds } = choose(memory, choice);
    this.#memory = memory;
    this.#layer = choice.layer;
    this.#blocks = blocks;
    this.holds = holds;
    this.nTokens = blocks.reduce((sum, { nTokens }) => sum + nTokens, 0);
    this.#selectMs = performance.now() - startMs;
    this.#bytesRead = memory.bytesRead - bytesBefore;
  }

  get nBlocks(): number {
    return this.#blocks.length;
  }

  /** The blocks as they are placed, in order. */
  rows(rowsOf: (tokens: StoredTokens, isStart: boolean) => PlacelessRows): PlacelessRows[] {
    return this.#blocks.map(({ tokens, isStart }) => rowsOf(tokens, isStart));
  }

  /** Takes in the shares of attention that a token of the answer gave to each placed token: [heads, nTokens]. */
  look(shares: Float32Array): void {
    this.#looks++;
    for (let head = 0, at = 0; at < shares.length; head++) {
      this.#masses[head] ??= new Float64Array(this.nBlocks);
      for (const [i, { nTokens }] of this.#blocks.entries()) {
        for (const end = at + nTokens; at < end; at++) this.#masses[head][i] += shares[at];
      }
    }
  }

  /** What got attention until now. */
  trace(): MemoryTrace {
    const { nBlocks, nTokens } = this.#memory;
    const blocks = this.#blocks
      .map(({ path, startLine, endLine, class: kind, score }, i): TracedBlock => {
        const headMasses = this.#masses.map((masses) => masses[i] / this.#looks);
        const mass = headMasses.reduce((sum, share) => sum + share / headMasses.length, 0);
        return { path, startLine, endLine, class: kind, score, mass, headMasses };
      })
      .sort((a, b) => b.mass - a.mass);
    const layer = { layer: this.#layer, blocks, estimatedRecall: null, refreshes: 1, looks: this.#looks };
    return { nBlocks, nTokens, layers: [layer], bytesRead: this.#bytesRead, selectMs: this.#selectMs };
  }
}

/** The blocks for a choice in the order in which they are placed, and which places they hold. */
function choose(memory: RepositoryMemory, { places, query, maxTokens, isInside = () => true }: PlacedChoice) {
  const chosen = new Map<number, Placed>();
  let room = maxTokens;
  const take = (block: number, path?: string): boolean => {
    if (chosen.has(block)) return true;
    if (!memory.has(block)) return false;
    const { owner, lines } = memory.at(block);
    const nTokens = owner.segment.tokensOf(block - owner.firstBlock);
    if (nTokens > room) return false;
    const tokens = memory.read(block);
    if (!tokens) return false;
    const shown = path ?? memory.pathsOf(owner).find(isInside);
    if (shown === undefined) return false;
    room -= nTokens;
    const isStart = block === owner.firstBlock;
    chosen.set(block, { block, path: shown, ...lines, class: "other", score: 0, tokens, nTokens, isStart });
    return true;
  };
  const holds = places.map(({ file, startLine, endLine }) => {
    const encoded = memory.encodedAt(file);
    if (!encoded) return false;
    const { segment, firstBlock } = encoded;
    const wanted = Array.from({ length: segment.nBlocks }, (_, i) => i).filter((i) => {
      const lines = segment.lines(i);
      return lines.startLine <= endLine && lines.endLine >= startLine;
    });
    return wanted.length > 0 && wanted.every((i) => take(firstBlock + i, file));
  });
  const allowed = (block: number) => memory.pathsOf(memory.at(block).owner).some(isInside);
  if (query) for (const { block } of memory.top(query, Math.ceil(maxTokens / 64) + chosen.size, allowed)) take(block);
  // A block of a damaged segment has left the memory, and its number may be another's.
  const all = [...chosen.values()].filter(({ block }) => memory.has(block));
  const scores = new Map(
    query ? memory.top(query, all.length, (block) => chosen.has(block)).map(({ block, score }) => [block, score]) : [],
  );
  // Files of the best blocks stand closest to the question; a file's blocks keep their order.
  const rank = new Map([...new Set(all.map(({ path }) => path))].map((path, i) => [path, i]));
  const blocks = all
    .map((one) => ({ ...one, score: scores.get(one.block) ?? 0 }))
    .sort((a, b) => rank.get(b.path)! - rank.get(a.path)! || a.block - b.block);
  return { blocks, holds };
}

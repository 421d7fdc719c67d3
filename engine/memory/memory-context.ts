/** What the model sees of a repository while one place is completed, and the record of what it looked at. */
import { MEMORY_CLASSES, type MemoryClass } from "../models/hybrid-config.ts";
import type { MemoryTokens } from "../runtime/hybrid.ts";
import { type MemoryBlock, memoryTokens } from "../runtime/hybrid-memory.ts";
import type { MemoryQuery, RoutedMemory } from "../runtime/hybrid-routing.ts";
import type { BlockHit } from "./block-index.ts";
import { BlockScan, type Candidate } from "./block-scan.ts";
import { RecycledHits } from "./recycled-hits.ts";
import type { Encoded, RepositoryMemory } from "./repository-memory.ts";
import { folderOf } from "./source-class.ts";
import { TextBlocks } from "./text-blocks.ts";
import type { LayerTrace, MemoryTrace, TracedBlock } from "./trace.ts";

/** Landmarks propose so many times the blocks that are chosen, and rare tokens as many. */
const CANDIDATES = 3;

/** Of the blocks that rare tokens propose so many bring the next one with them. */
const FOLLOWED = 8;

/** What rough keys may change of a choice's attention, as the sum of all differences of its weights. */
const TOLERANCE = 0.1;

/** A place to be completed. Lines are of the file as it is in the editor. */
export interface CompletionPlace {
  /** Path below the folder, with forward slashes. */
  readonly path: string;
  /** The beginning of the file's text, for its imports. */
  readonly head: string;
  readonly cursorLine: number;
  /** The lines that the prompt itself shows, from 1, both included: memory leaves them out. */
  readonly firstLine: number;
  readonly lastLine: number;
}

/** A block that was chosen. */
interface Chosen {
  readonly block: number;
  readonly score: number;
  readonly stored: MemoryBlock;
}

/** What was looked at. */
interface Looked {
  /** The last choice and what it was made for. */
  last: { readonly query: Float32Array; readonly chosen: readonly Chosen[]; readonly tokens: MemoryTokens };
  refreshes: number;
  looks: number;
  /** Summed over the looks, by block and head. */
  readonly seen: Map<number, { traced: Omit<TracedBlock, "mass" | "headMasses">; masses: Float64Array }>;
}

export class MemoryContext implements RoutedMemory {
  readonly #memory: RepositoryMemory;
  readonly #place: CompletionPlace;
  readonly #own: Encoded | undefined;
  readonly #imported: ReadonlySet<string>;
  readonly #blocks: TextBlocks;
  readonly #scan = new BlockScan();
  readonly #byLandmarks: RecycledHits;
  #looked: Looked | undefined;
  readonly #chosen = new WeakMap<MemoryTokens, readonly Chosen[]>();
  #selectMs = 0;
  #bytesRead = 0;

  constructor(memory: RepositoryMemory, place: CompletionPlace) {
    this.#memory = memory;
    this.#place = place;
    this.#own = memory.encodedAt(place.path);
    this.#imported = memory.importedBy(place.path, place.head);
    this.#blocks = new TextBlocks(memory, (block) => MEMORY_CLASSES.indexOf(this.#classOf(block)));
    const k = CANDIDATES * memory.router.config.routeTopBlocks;
    this.#byLandmarks = new RecycledHits((query) => memory.top(query, k, (block) => !this.#isShown(block)));
  }

  select(asked: MemoryQuery): MemoryTokens {
    const startMs = performance.now();
    const bytesBefore = this.#memory.bytesRead;
    const { routeTopBlocks, nHeads } = this.#memory.router.config;
    let chosen: Chosen[] | undefined;
    // A block that turns out to be damaged has left the memory: others take its place.
    while (chosen === undefined) chosen = this.#choose(routeTopBlocks, asked);
    const tokens = this.#tokensOf(chosen);
    const last = { query: asked.query, chosen, tokens };
    this.#looked ??= { last, refreshes: 0, looks: 0, seen: new Map() };
    const looked = this.#looked;
    looked.last = last;
    looked.refreshes++;
    for (const { block, score } of chosen) {
      const { owner, lines } = this.#memory.at(block);
      const traced = { path: this.#pathOf(owner), ...lines, class: this.#classOf(block), score };
      looked.seen.set(block, { traced, masses: looked.seen.get(block)?.masses ?? new Float64Array(nHeads) });
    }
    this.#selectMs += performance.now() - startMs;
    this.#bytesRead += this.#memory.bytesRead - bytesBefore;
    return tokens;
  }

  /** The blocks' tokens; those of the last choice if it was the same, in whatever order. */
  #tokensOf(chosen: readonly Chosen[]): MemoryTokens {
    const last = this.#looked?.last;
    const before = new Set(last?.chosen.map(({ stored }) => stored));
    if (last && before.size === chosen.length && chosen.every(({ stored }) => before.has(stored))) return last.tokens;
    const stored = chosen.map((one) => one.stored);
    const tokens = memoryTokens(stored, this.#memory.router.config.headSize);
    this.#chosen.set(tokens, chosen);
    return tokens;
  }

  attended(tokens: MemoryTokens, weights: Float32Array): void {
    const looked = this.#looked;
    const chosen = this.#chosen.get(tokens);
    if (!looked || !chosen) return;
    looked.looks++;
    const nAll = tokens.classes.length;
    let start = 0;
    for (const { block, stored } of chosen) {
      const nTokens = stored.end - stored.start;
      const masses = looked.seen.get(block)?.masses ?? new Float64Array(0);
      for (const head of masses.keys()) {
        for (let at = start; at < start + nTokens; at++) masses[head] += weights[head * nAll + at];
      }
      start += nTokens;
    }
  }

  /** What was looked at until now. */
  trace(): MemoryTrace {
    const { nBlocks, nTokens } = this.#memory;
    const layers = this.#looked ? [this.#layerTrace(this.#looked)] : [];
    return { nBlocks, nTokens, layers, bytesRead: this.#bytesRead, selectMs: this.#selectMs };
  }

  #layerTrace({ last, refreshes, looks, seen }: Looked): LayerTrace {
    const blocks = [...seen.values()]
      .map(({ traced, masses }) => {
        const headMasses = [...masses].map((mass) => (looks > 0 ? mass / looks : 0));
        return { ...traced, mass: mean(headMasses), headMasses };
      })
      .sort((a, b) => b.mass - a.mass);
    // Blocks of a damaged segment have left the memory since.
    const chosen = last.chosen.filter(({ block }) => this.#memory.has(block));
    const estimatedRecall = this.#memory.estimatedRecall(last.query, chosen, (block) => !this.#isShown(block));
    return { layer: this.#memory.router.config.memoryLayer, blocks, estimatedRecall, refreshes, looks };
  }

  /** The best blocks with their tokens; undefined where one of them could not be read. */
  #choose(k: number, asked: MemoryQuery): Chosen[] | undefined {
    const found: Chosen[] = [];
    const hits = this.#candidates(CANDIDATES * k, asked);
    const ranked = hits.length > k ? this.#rank(k, asked.heads, hits) : hits.map((hit) => ({ hit, isRough: false }));
    if (ranked === undefined) return undefined;
    for (const { hit, isRough } of ranked) {
      const stored = this.#blocks.stored(hit.block, isRough);
      if (!stored) return undefined;
      found.push({ ...hit, stored });
    }
    return found;
  }

  /**
   * What landmarks and rare tokens propose, at most `k` blocks each, and what follows the best of the latter: a block may
   * end between a name and what is said of it.
   */
  #candidates(k: number, { query, tokens }: MemoryQuery): BlockHit[] {
    const isAllowed = (block: number) => !this.#isShown(block);
    const named = this.#memory.topByTokens(tokens, k, isAllowed).map(({ block }) => block);
    const behind = named.slice(0, FOLLOWED).flatMap((block) => this.#memory.following(block) ?? []);
    const others = new Set([...named, ...behind.filter(isAllowed)]);
    // Blocks of a damaged segment have left the memory since.
    const hits = this.#byLandmarks.of(query).filter(({ block }) => this.#memory.has(block));
    for (const { block } of hits) others.delete(block);
    return [...hits, ...[...others].map((block) => ({ block, score: this.#memory.cosine(block, query) }))];
  }

  /** The best of the hits by their keys; undefined where one of them could not be read. */
  #rank(k: number, heads: readonly Float32Array[], hits: readonly BlockHit[]) {
    const candidates: Candidate[] = [];
    for (const { block } of hits) {
      const candidate = this.#blocks.candidate(block);
      if (!candidate) return undefined;
      candidates.push(candidate);
    }
    const { best, rough } = this.#scan.rank(heads, candidates, k, TOLERANCE);
    return best.map((i) => ({ hit: hits[i], isRough: rough.has(i) }));
  }

  /** Whether the prompt itself shows what the block holds. */
  #isShown(block: number): boolean {
    const { owner, lines } = this.#memory.at(block);
    return owner === this.#own && lines.endLine >= this.#place.firstLine && lines.startLine <= this.#place.lastLine;
  }

  #classOf(block: number): MemoryClass {
    const { owner, lines } = this.#memory.at(block);
    if (owner === this.#own) return lines.startLine < this.#place.cursorLine ? "own_before" : "own_after";
    const paths = this.#memory.pathsOf(owner);
    if (paths.some((path) => this.#imported.has(path))) return "imported";
    const folder = folderOf(this.#place.path);
    return paths.some((path) => folderOf(path) === folder) ? "same_folder" : "other";
  }

  /** Of equal files the one that says most about the place. */
  #pathOf(owner: Encoded): string {
    const paths = this.#memory.pathsOf(owner);
    if (owner === this.#own) return this.#place.path;
    return paths.find((path) => this.#imported.has(path)) ?? paths[0];
  }
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

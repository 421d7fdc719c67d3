/**
 * The memory of one folder: which of its files are encoded, the landmarks of their blocks in RAM, and the blocks
 * themselves, read when a text attends to them. RAM grows with landmarks and lists of tokens, about eight bytes a token.
 */
import type { HybridModel } from "../models/hybrid.ts";
import { cosine } from "../runtime/hybrid.ts";
import type { QuantisedRows, StoredTokens } from "../runtime/hybrid-memory.ts";
import type { BlockHit, BlockIndex } from "./block-index.ts";
import { type CompletionPlace, MemoryContext } from "./memory-context.ts";
import { type BlockPart, type LineRange, type Segment, SegmentDamage } from "./segment.ts";
import type { SegmentStore } from "./segment-store.ts";
import { ImportNames } from "./source-class.ts";
import { TokenIndex } from "./token-index.ts";

/** A file of the folder as it is now. */
export interface RepositoryFile {
  /** Path below the folder, with forward slashes. */
  readonly path: string;
  /** A hash of its bytes. */
  readonly contentHash: string;
  readonly sizeBytes: number;
}

/** The contents of one or more equal files, encoded. */
export interface Encoded {
  readonly id: string;
  readonly segment: Segment;
  /** The number of its first block in the index. */
  readonly firstBlock: number;
}

export interface FoundBlock extends LineRange {
  readonly path: string;
  /** Cosine of query and landmark. */
  readonly score: number;
}

/** Parts of blocks that were read lately are kept, up to this size. */
const WORKING_SET_BYTES = 16 * 1024 * 1024;

/** What was read of a block. */
type Parts = Partial<Record<BlockPart, ArrayBuffer>>;

/** Segments that are opened before other work gets its turn: some milliseconds. */
const FILES_AT_ONCE = 64;

export class RepositoryMemory {
  readonly #router: HybridModel | undefined;
  readonly #store: SegmentStore;
  readonly #index: BlockIndex;
  readonly #tokens = new TokenIndex();
  /** Tokens that stand for no text. */
  readonly #controls: ReadonlySet<number>;
  /** The folder's files by the ids of their contents. */
  #files: ReadonlyMap<string, readonly RepositoryFile[]> = new Map();
  #ids: ReadonlyMap<string, string> = new Map();
  #imports: ImportNames | undefined;
  readonly #encoded = new Map<string, Encoded>();
  /** The contents that each block of the index belongs to. */
  readonly #owners: (Encoded | undefined)[] = [];
  /** Least lately used first. */
  readonly #workingSet = new Map<number, Parts>();
  #workingSetBytes = 0;
  #nTokens = 0;
  #bytesRead = 0;

  /** What the memory layer's heads add to the scores of a block of a class (its index): [nHeads]. */
  classBiases(memoryClass: number): Float32Array {
    const { weights, config } = this.router;
    const table = weights.vector(`blk.${config.memoryLayer}.class_bias`);
    const { nHeads } = config;
    const nClasses = table.length / nHeads;
    return Float32Array.from({ length: nHeads }, (_, head) => table[head * nClasses + memoryClass]);
  }

  /** `router`: the model whose memory layer looks for blocks; other models have their blocks placed in the text. */
  constructor(router: HybridModel | undefined, store: SegmentStore, index: BlockIndex) {
    this.#router = router;
    this.#controls = new Set(Object.values(router?.config.specialTokens ?? {}));
    this.#store = store;
    this.#index = index;
  }

  get router(): HybridModel {
    if (!this.#router) throw new Error("this memory belongs to a model that does not route to blocks");
    return this.#router;
  }

  get nBlocks(): number {
    return this.#index.nBlocks;
  }

  get nTokens(): number {
    return this.#nTokens;
  }

  /** Bytes read from disk so far. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  /** Different contents of files of the folder. */
  get nContents(): number {
    return this.#files.size;
  }

  /** What has to be encoded: one file for each content. */
  get missing(): RepositoryFile[] {
    return [...this.#files].filter(([id]) => !this.#encoded.has(id)).map(([, files]) => files[0]);
  }

  /** Whether contents are the folder's, encoded or not. */
  needs(id: string): boolean {
    return this.#files.has(id);
  }

  /**
   * Makes this the memory of exactly these files. Contents that are encoded already are opened, a few at a time so that
   * other work goes on; the others are missing.
   */
  async update(files: Iterable<RepositoryFile>): Promise<void> {
    this.#files = Map.groupBy(files, ({ contentHash }) => this.#store.idOf(contentHash));
    this.#ids = new Map([...this.#files].flatMap(([id, same]) => same.map(({ path }) => [path, id] as const)));
    this.#imports = undefined;
    for (const [id, encoded] of this.#encoded) if (!this.#files.has(id)) this.#forget(encoded);
    for (const [i, file] of this.missing.entries()) {
      this.take(file);
      if (i % FILES_AT_ONCE === FILES_AT_ONCE - 1) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Takes up the segment of a file's contents, if there is one by now. */
  take({ contentHash }: RepositoryFile): boolean {
    const id = this.#store.idOf(contentHash);
    if (this.#encoded.has(id)) return true;
    // The folder may have changed while the file was encoded.
    const opened = this.#files.has(id) ? this.#store.open(id) : undefined;
    if (!opened) return false;
    const { segment, landmarks, ids } = opened;
    const encoded = { id, segment, firstBlock: this.#index.add(landmarks) };
    if (this.#router) this.#tokens.add(encoded.firstBlock, ids, this.#store.shape.blockSize);
    this.#encoded.set(id, encoded);
    for (let i = 0; i < segment.nBlocks; i++) this.#owners[encoded.firstBlock + i] = encoded;
    this.#nTokens += segment.nTokens;
    return true;
  }

  /** What a text attends to while the place is completed; undefined while nothing is encoded. */
  memoryFor(place: CompletionPlace): MemoryContext | undefined {
    return this.nBlocks === 0 || !this.#router ? undefined : new MemoryContext(this, place);
  }

  /** The best blocks for a routing query, such as that of a question (HybridEncoder.embedQuestion). */
  search(query: Float32Array, k: number): FoundBlock[] {
    return this.top(query, k).map((hit) => {
      const { owner, lines } = this.at(hit.block);
      return { path: this.pathsOf(owner)[0], ...lines, score: hit.score };
    });
  }

  top(query: Float32Array, k: number, allowed?: (block: number) => boolean): BlockHit[] {
    return this.#index.top(query, k, allowed);
  }

  /** Cosine of a block's landmark and a query of unit length. */
  cosine(block: number, query: Float32Array): number {
    return cosine(this.#index.landmark(block), query);
  }

  /** The best blocks that share rare tokens with a text. */
  topByTokens(tokens: readonly number[], k: number, allowed?: (block: number) => boolean): BlockHit[] {
    const texts = tokens.filter((token) => !this.#controls.has(token));
    return this.#tokens.top(texts, k, allowed);
  }

  /**
   * The share that `hits` have of the routing softmax over all blocks allowed. The routing was trained to predict
   * the blocks' attention, so this estimates the share of the attention to memory that they catch.
   */
  estimatedRecall(query: Float32Array, hits: readonly BlockHit[], allowed: (block: number) => boolean): number {
    const { weights, config } = this.router;
    const [scale] = weights.vector(`blk.${config.memoryLayer}.route_scale`);
    const sum = hits.reduce((total, { score }) => total + Math.exp(scale * (score - 1)), 0);
    const all = this.#index.sumExp(query, scale, allowed);
    return all > 0 ? sum / all : 1;
  }

  /** All contents that are encoded. */
  encoded(): Iterable<Encoded> {
    return this.#encoded.values();
  }

  /** The numbers of all blocks. */
  *blocks(): Generator<number> {
    for (const { firstBlock, segment } of this.#encoded.values()) {
      for (let i = 0; i < segment.nBlocks; i++) yield firstBlock + i;
    }
  }

  /** Whether a block is in memory. */
  has(block: number): boolean {
    return this.#owners[block] !== undefined;
  }

  /** The contents a block of the index belongs to, and where it stands in them. */
  at(block: number): { owner: Encoded; lines: LineRange } {
    const owner = this.#owners[block];
    if (!owner) throw new Error(`block ${block} is not in memory`);
    return { owner, lines: owner.segment.lines(block - owner.firstBlock) };
  }

  /** The next block of the same contents, if there is one. */
  following(block: number): number | undefined {
    const { owner } = this.at(block);
    return block + 1 < owner.firstBlock + owner.segment.nBlocks ? block + 1 : undefined;
  }

  /** The files that have these contents; at least one. */
  pathsOf({ id }: Encoded): readonly string[] {
    return (this.#files.get(id) ?? []).map(({ path }) => path);
  }

  /** The contents of a file, undefined where they are not encoded. */
  encodedAt(path: string): Encoded | undefined {
    return this.#encoded.get(this.#ids.get(path) ?? "");
  }

  /** The files that a file seems to import. */
  importedBy(path: string, text: string): ReadonlySet<string> {
    this.#imports ??= new ImportNames(this.#ids.keys());
    return this.#imports.importedBy(path, text);
  }

  /** The keys of a block as their high plane has them; undefined and left out as with `read`. */
  scan(block: number): QuantisedRows | undefined {
    const { segment, firstBlock } = this.at(block).owner;
    const { high } = this.#partsOf(block, ["high"]) ?? {};
    return high && this.#seen(block, segment.keysOf(block - firstBlock, high));
  }

  /**
   * The tokens of a block that a text may see, with `rough` keys from their high plane alone. Undefined where its segment
   * turns out to be damaged or gone: then the whole segment has left the memory and is missing.
   */
  read(block: number, keys: "exact" | "rough" = "exact"): StoredTokens | undefined {
    const { segment, firstBlock } = this.at(block).owner;
    const { high, low, values } =
      this.#partsOf(block, keys === "exact" ? ["high", "low", "values"] : ["high", "values"]) ?? {};
    if (!high || !values) return undefined;
    const at = block - firstBlock;
    return {
      keys: this.#seen(block, segment.keysOf(at, high, keys === "exact" ? low : undefined)),
      values: this.#seen(block, segment.valuesOf(at, values)),
    };
  }

  /**
   * A block's rows without the token that begins a file, where the shipped model sees them: every text attends to its first token for
   * want of something better, and would to that of each file that it is shown (models/default/FORMAT.md, Memory). Texts
   * of other models are placed whole.
   */
  #seen(block: number, { values, scales }: QuantisedRows): QuantisedRows {
    const isFirst = block === this.at(block).owner.firstBlock;
    if (!this.#router || !isFirst) return { values, scales };
    return { values: values.subarray(values.length / scales.length), scales: scales.subarray(1) };
  }

  /** At least the parts of a block that are wanted. */
  #partsOf(block: number, wanted: readonly BlockPart[]): Parts | undefined {
    const kept = this.#workingSet.get(block) ?? {};
    const lacking = wanted.filter((part) => kept[part] === undefined);
    const { owner } = this.at(block);
    const { id, segment, firstBlock } = owner;
    try {
      const read = lacking.length > 0 ? segment.readParts(block - firstBlock, lacking) : {};
      this.#bytesRead += segment.storedBytes(block - firstBlock, lacking);
      this.#keep(block, { ...kept, ...read }, sizeOf(read));
      return this.#workingSet.get(block);
    } catch (error) {
      if (!(error instanceof SegmentDamage)) throw error;
      this.#store.discard(id, error.message);
      this.#forget(owner);
      return undefined;
    }
  }

  #keep(block: number, parts: Parts, addedBytes: number): void {
    this.#workingSet.delete(block);
    this.#workingSet.set(block, parts);
    this.#workingSetBytes += addedBytes;
    for (const [oldest, dropped] of this.#workingSet) {
      if (this.#workingSetBytes <= WORKING_SET_BYTES || oldest === block) break;
      this.#workingSet.delete(oldest);
      this.#workingSetBytes -= sizeOf(dropped);
    }
  }

  #forget({ id, segment, firstBlock }: Encoded): void {
    this.#encoded.delete(id);
    this.#index.remove(firstBlock, segment.nBlocks);
    if (this.#router) this.#tokens.remove(firstBlock, segment.nBlocks);
    this.#nTokens -= segment.nTokens;
    for (let block = firstBlock; block < firstBlock + segment.nBlocks; block++) {
      this.#owners[block] = undefined;
      const kept = this.#workingSet.get(block);
      if (kept && this.#workingSet.delete(block)) this.#workingSetBytes -= sizeOf(kept);
    }
  }
}

const sizeOf = (parts: Parts) => Object.values(parts).reduce((sum, { byteLength }) => sum + byteLength, 0);

/**
 * An index for very large memories: a graph over landmarks that a query walks towards its best blocks (RetrievalAttention,
 * arXiv 2409.10516, on the construction of RoarGraph, PVLDB 17). Queries are unlike landmarks, so edges come first from
 * the queries that were asked: what one of them finds best is linked. Below a size it compares a query with every landmark.
 */
import { type BlockHit, type BlockIndex, LandmarkTable, scan, sumExp, TopHits } from "./block-index.ts";
import { Pace } from "./pace.ts";
import { Rebuild } from "./rebuild.ts";

export interface GraphIndexOptions {
  /** A graph is made from so many blocks on. */
  readonly minBlocks: number;
  /** Blocks that a walk keeps, by the number of those wanted: more find more and compare with more. */
  readonly beam: (k: number) => number;
}

const DEFAULTS: GraphIndexOptions = { minBlocks: 2 ** 13, beam: (k) => Math.max(150, Math.round(1.5 * k)) };

/** Edges that are chosen for a block, and the most it may end up with. */
const CHOSEN_EDGES = 16;
const MAX_EDGES = 40;
/** Of each query that was asked, so many best blocks are looked at. */
const LIST = 48;
/** The last queries, of which the graph is made. */
const QUERIES = 2000;
/** Blocks that a walk keeps while the graph is made. */
const BUILD_BEAM = 64;

export class GraphIndex implements BlockIndex {
  readonly #table: LandmarkTable;
  readonly #options: GraphIndexOptions;
  #graph: Graph | undefined;
  /** Queries that were asked, [at most QUERIES, routeSize], the oldest overwritten. */
  readonly #queries: Float32Array[] = [];
  #nAsked = 0;
  readonly #rebuild: Rebuild;
  #nCompared = 0;
  /** Blocks that came while the graph was being made. */
  #added = new Set<number>();

  /** An index of landmarks of that size, or of a table whose blocks come and go through this index from now on. */
  constructor(landmarks: number | LandmarkTable, options: Partial<GraphIndexOptions> = {}) {
    this.#table = typeof landmarks === "number" ? new LandmarkTable(landmarks) : landmarks;
    this.#options = { ...DEFAULTS, ...options };
    const { minBlocks } = this.#options;
    this.#rebuild = new Rebuild(
      minBlocks,
      () => this.nBlocks,
      () => this.#build(),
    );
    this.#rebuild.changed();
  }

  get nBlocks(): number {
    return this.#table.nBlocks;
  }

  /** Landmarks that queries were compared with so far. */
  get nCompared(): number {
    return this.#nCompared;
  }

  /** Settles when no graph is being made. */
  settled(): Promise<void> {
    return this.#rebuild.settled();
  }

  add(landmarks: Float32Array): number {
    const first = this.#table.add(landmarks);
    const n = landmarks.length / this.#table.routeSize;
    for (let block = first; block < first + n; block++) {
      this.#graph?.insert(block);
      if (this.#rebuild.isRunning) this.#added.add(block);
    }
    this.#rebuild.changed();
    return first;
  }

  remove(first: number, n: number): void {
    this.#table.remove(first, n);
    for (let block = first; block < first + n; block++) this.#graph?.remove(block);
    this.#rebuild.changed(n);
  }

  top(query: Float32Array, k: number, allowed?: (block: number) => boolean): BlockHit[] {
    this.#queries[this.#nAsked++ % QUERIES] = query.slice();
    const top = new TopHits(k, allowed);
    if (this.#graph) {
      const { found, nCompared } = this.#graph.walk(query, Math.max(this.#options.beam(k), k));
      this.#nCompared += nCompared;
      for (const { block, score } of found) top.offer(block, score);
      // Also where nearly all that was found is not allowed.
      if (top.hits.length === k) return top.hits;
    }
    const all = new TopHits(k, allowed);
    this.#nCompared += this.nBlocks;
    scan(this.#table, query, 0, this.#table.end, all);
    return all.hits;
  }

  landmark(block: number): Float32Array {
    return this.#table.row(block);
  }

  sumExp(query: Float32Array, scale: number, allowed?: (block: number) => boolean): number {
    return sumExp(this.#table, query, scale, allowed);
  }

  async #build(): Promise<void> {
    const graph = await Graph.of(this.#table, this.#queries.slice());
    // From here on nothing else runs.
    for (const block of this.#added) graph.insert(block);
    this.#added = new Set();
    this.#graph = graph;
  }
}

/** What a walk found, best first, and how many landmarks it compared the query with. */
interface Walk {
  readonly found: BlockHit[];
  readonly nCompared: number;
}

class Graph {
  readonly #table: LandmarkTable;
  /** Of each block its neighbours; blocks that went are skipped when they are come across. */
  readonly #edges: (number[] | undefined)[] = [];
  /** Where walks begin: the block nearest to the mean of all. */
  #entry = 0;
  /** The walk that last saw a block. */
  #seen = new Uint32Array(0);
  #nWalks = 0;

  static async of(table: LandmarkTable, queries: readonly Float32Array[]): Promise<Graph> {
    const graph = new Graph(table);
    const pace = new Pace();
    const blocks = [...graph.#present()];
    graph.#entry = graph.#central();
    for (const block of blocks) graph.#edges[block] = [];
    for (const query of queries) {
      await pace.rest();
      const top = new TopHits(LIST);
      scan(table, query, 0, table.end, top);
      graph.#project(top.hits.map(({ block }) => block));
    }
    // In an order without files, so that early blocks lie all over the place.
    const stride = strideOf(blocks.length);
    for (let i = 0; i < blocks.length; i++) {
      await pace.rest();
      graph.insert(blocks[(i * stride) % blocks.length]);
    }
    for (const block of graph.#unreached(blocks)) {
      await pace.rest();
      graph.#reach(block);
    }
    return graph;
  }

  private constructor(table: LandmarkTable) {
    this.#table = table;
  }

  /** Links a block to what is close to it. */
  insert(block: number): void {
    if (!this.#isThere(block)) return;
    const own = this.#edges[block] ?? [];
    this.#edges[block] = own;
    if (!this.#isThere(this.#entry)) this.#entry = block;
    const { found } = this.walk(this.#table.row(block), BUILD_BEAM);
    const near = found.map((hit) => hit.block).filter((other) => other !== block && !own.includes(other));
    for (const other of this.#unoccluded(block, near, CHOSEN_EDGES)) {
      this.#link(block, other);
      this.#link(other, block);
    }
  }

  /** Takes a block out that has left the table. Its neighbours become each other's, so that no way ends here. */
  remove(block: number): void {
    const neighbours = (this.#edges[block] ?? []).filter((other) => this.#isThere(other));
    this.#edges[block] = undefined;
    for (const [i, other] of neighbours.entries()) {
      const next = neighbours[(i + 1) % neighbours.length];
      const edges = this.#edges[other];
      if (edges && next !== other && !edges.includes(next)) this.#link(other, next);
    }
    if (block === this.#entry) this.#entry = neighbours[0] ?? this.#central();
  }

  /** Best-first: the best block that was not looked at yet tells its neighbours, until the best `beam` have. */
  walk(query: Float32Array, beam: number): Walk {
    if (this.#seen.length < this.#table.end) {
      const seen = new Uint32Array(Math.ceil(this.#table.end * 1.25));
      seen.set(this.#seen);
      this.#seen = seen;
    }
    const walk = ++this.#nWalks;
    const pool: { block: number; score: number; isExpanded: boolean }[] = [];
    let nCompared = 0;
    const offer = (block: number) => {
      if (this.#seen[block] === walk || this.#edges[block] === undefined) return;
      this.#seen[block] = walk;
      const score = this.#score(query, block);
      nCompared++;
      // Blocks that have left the table score NaN.
      if (Number.isNaN(score) || (pool.length === beam && score <= pool[beam - 1].score)) return;
      let [low, high] = [0, pool.length];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (pool[middle].score >= score) low = middle + 1;
        else high = middle;
      }
      pool.splice(low, 0, { block, score, isExpanded: false });
      if (pool.length > beam) pool.pop();
      first = Math.min(first, low);
    };
    let first = 0;
    offer(this.#entry);
    while (true) {
      while (first < pool.length && pool[first].isExpanded) first++;
      if (first >= pool.length) break;
      pool[first].isExpanded = true;
      for (const other of this.#edges[pool[first].block] ?? []) offer(other);
    }
    return { found: pool, nCompared };
  }

  /** Links the best blocks of a query: the first one, the pivot, with those of the others that no other one hides. */
  #project([pivot, ...others]: readonly number[]): void {
    if (pivot === undefined) return;
    for (const other of this.#unoccluded(pivot, others, CHOSEN_EDGES)) {
      if (!this.#edges[pivot]?.includes(other)) this.#link(pivot, other);
      if (!this.#edges[other]?.includes(pivot)) this.#link(other, pivot);
    }
  }

  #link(from: number, to: number): void {
    const edges = this.#edges[from];
    if (edges === undefined) return;
    edges.push(to);
    if (edges.length > MAX_EDGES) this.#edges[from] = this.#unoccluded(from, edges, MAX_EDGES >> 1);
  }

  /** At most `n` of the blocks: those nearer to the block than to one already taken, then the nearest of the others. */
  #unoccluded(block: number, others: readonly number[], n: number): number[] {
    const row = this.#table.row(block);
    const sorted = others
      .map((other) => ({ other, score: this.#score(row, other) }))
      .filter(({ score }) => !Number.isNaN(score))
      .sort((a, b) => b.score - a.score || a.other - b.other);
    const taken: number[] = [];
    const hidden: number[] = [];
    for (const { other, score } of sorted) {
      if (taken.length === n) break;
      const isHidden = taken.some((one) => this.#score(this.#table.row(one), other) > score);
      (isHidden ? hidden : taken).push(other);
    }
    return [...taken, ...hidden.slice(0, n - taken.length)];
  }

  /** Blocks that no way leads to from the entry. */
  #unreached(blocks: readonly number[]): number[] {
    const reached = new Set([this.#entry]);
    for (const block of reached) for (const other of this.#edges[block] ?? []) reached.add(other);
    return blocks.filter((block) => !reached.has(block));
  }

  /** An edge to a block from the nearest that has room for it. */
  #reach(block: number): void {
    const { found } = this.walk(this.#table.row(block), BUILD_BEAM);
    const near = found.filter((hit) => hit.block !== block).map((hit) => this.#edges[hit.block]);
    near.find((edges) => edges !== undefined && edges.length < MAX_EDGES)?.push(block);
  }

  *#present(): Generator<number> {
    for (let block = 0; block < this.#table.end; block++) if (this.#isThere(block)) yield block;
  }

  #isThere(block: number): boolean {
    return block < this.#table.end && !Number.isNaN(this.#table.rows[block * this.#table.routeSize]);
  }

  #central(): number {
    const mean = new Float32Array(this.#table.routeSize);
    for (const block of this.#present()) for (const [i, x] of this.#table.row(block).entries()) mean[i] += x;
    const top = new TopHits(1);
    scan(this.#table, mean, 0, this.#table.end, top);
    return top.hits[0]?.block ?? 0;
  }

  #score(query: Float32Array, block: number): number {
    const { rows, routeSize } = this.#table;
    let score = 0;
    for (let i = 0, at = block * routeSize; i < routeSize; i++) score += query[i] * rows[at++];
    return score;
  }
}

/** A step that comes to every one of `n` places: near the golden ratio, with no common divisor. */
function strideOf(n: number): number {
  const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));
  let stride = Math.max(1, Math.round(0.618 * n));
  while (divisor(stride, n) !== 1) stride++;
  return stride;
}

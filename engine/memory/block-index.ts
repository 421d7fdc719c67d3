/**
 * Finds the blocks whose landmarks are closest to a routing query. Blocks are numbered by the index; numbers of blocks
 * that were removed are given to later ones.
 */

export interface BlockHit {
  readonly block: number;
  /** Cosine of query and landmark. */
  readonly score: number;
}

export interface BlockIndex {
  /** Blocks in the index. */
  readonly nBlocks: number;
  /** Takes the landmarks [n, routeSize] of a file's blocks, of unit length; the first one's number, the others follow. */
  add(landmarks: Float32Array): number;
  /** Takes `n` blocks from `first` on out again, as they were added. */
  remove(first: number, n: number): void;
  /** The best `k` blocks among those allowed, best first, ties by number. */
  top(query: Float32Array, k: number, allowed?: (block: number) => boolean): BlockHit[];
  /** The landmark [routeSize] of a block that is in the index, valid until the next change. */
  landmark(block: number): Float32Array;
  /** The sum of exp(scale * (score - 1)) over all blocks allowed: what a softmax over them is divided by. */
  sumExp(query: Float32Array, scale: number, allowed?: (block: number) => boolean): number;
}

/** The k best hits seen so far. */
export class TopHits {
  readonly #k: number;
  readonly #allowed: ((block: number) => boolean) | undefined;
  readonly #hits: BlockHit[] = [];
  /** A score below this one cannot get in. */
  bar = Number.NEGATIVE_INFINITY;

  constructor(k: number, allowed?: (block: number) => boolean) {
    this.#k = k;
    this.#allowed = allowed;
    if (k < 1) this.bar = Number.POSITIVE_INFINITY;
  }

  offer(block: number, score: number): void {
    if (!(score >= this.bar)) return;
    const isFull = this.#hits.length === this.#k;
    if (isFull && !isBetter(score, block, this.#hits[this.#k - 1])) return;
    if (this.#allowed?.(block) === false) return;
    if (isFull) this.#hits.pop();
    let at = this.#hits.length;
    while (at > 0 && isBetter(score, block, this.#hits[at - 1])) at--;
    this.#hits.splice(at, 0, { block, score });
    if (this.#hits.length === this.#k) this.bar = this.#hits[this.#k - 1].score;
  }

  get hits(): BlockHit[] {
    return this.#hits;
  }
}

const isBetter = (score: number, block: number, other: BlockHit) =>
  score > other.score || (score === other.score && block < other.block);

/** Landmarks in one array that grows, with gaps where blocks were removed. */
export class LandmarkTable {
  readonly routeSize: number;
  /** [capacity, routeSize]; rows of blocks that are not there are NaN, so that no comparison finds them good. */
  #rows: Float32Array;
  /** Rows used so far, gaps included. */
  #end = 0;
  #nBlocks = 0;
  /** Gaps by their first row, in order, never two side by side. */
  #gaps: { first: number; n: number }[] = [];

  constructor(routeSize: number) {
    this.routeSize = routeSize;
    this.#rows = new Float32Array(0);
  }

  get nBlocks(): number {
    return this.#nBlocks;
  }

  /** One more than the largest number in use. */
  get end(): number {
    return this.#end;
  }

  get rows(): Float32Array {
    return this.#rows;
  }

  row(block: number): Float32Array {
    return this.#rows.subarray(block * this.routeSize, (block + 1) * this.routeSize);
  }

  add(landmarks: Float32Array): number {
    const n = landmarks.length / this.routeSize;
    const first = this.#place(n);
    this.#rows.set(landmarks, first * this.routeSize);
    this.#nBlocks += n;
    return first;
  }

  remove(first: number, n: number): void {
    this.#rows.fill(Number.NaN, first * this.routeSize, (first + n) * this.routeSize);
    this.#nBlocks -= n;
    const at = this.#gaps.findIndex((gap) => gap.first > first);
    this.#gaps.splice(at < 0 ? this.#gaps.length : at, 0, { first, n });
    const joined: { first: number; n: number }[] = [];
    for (const gap of this.#gaps) {
      const last = joined.at(-1);
      if (last && last.first + last.n === gap.first) last.n += gap.n;
      else joined.push(gap);
    }
    if (joined.length > 0 && joined[joined.length - 1].first + joined[joined.length - 1].n === this.#end) {
      this.#end = joined.pop()!.first;
    }
    this.#gaps = joined;
  }

  #place(n: number): number {
    const gap = this.#gaps.find((one) => one.n >= n);
    if (gap) {
      const { first } = gap;
      gap.first += n;
      gap.n -= n;
      if (gap.n === 0) this.#gaps = this.#gaps.filter((one) => one !== gap);
      return first;
    }
    const first = this.#end;
    this.#end += n;
    if (this.#end * this.routeSize > this.#rows.length) {
      const grown = new Float32Array(
        Math.max(this.#end, Math.ceil(this.#rows.length / this.routeSize / 4) * 5) * this.routeSize,
      );
      grown.set(this.#rows);
      this.#rows = grown;
    }
    return first;
  }
}

/** Scores `table`'s blocks start .. end - 1. */
export function scan(table: LandmarkTable, query: Float32Array, start: number, end: number, top: TopHits): void {
  const { rows, routeSize } = table;
  for (let block = start, at = start * routeSize; block < end; block++) {
    let score = 0;
    for (let i = 0; i < routeSize; i++) score += query[i] * rows[at++];
    if (score >= top.bar) top.offer(block, score);
  }
}

/** BlockIndex.sumExp over a table. */
export function sumExp(
  { rows, routeSize, end }: LandmarkTable,
  query: Float32Array,
  scale: number,
  allowed: (block: number) => boolean = () => true,
): number {
  let sum = 0;
  for (let block = 0, at = 0; block < end; block++) {
    let score = 0;
    for (let i = 0; i < routeSize; i++) score += query[i] * rows[at++];
    if (!Number.isNaN(score) && allowed(block)) sum += Math.exp(scale * (score - 1));
  }
  return sum;
}

/** Compares a query with every landmark. */
export class ExactIndex implements BlockIndex {
  readonly table: LandmarkTable;

  constructor(routeSize: number) {
    this.table = new LandmarkTable(routeSize);
  }

  get nBlocks(): number {
    return this.table.nBlocks;
  }

  add(landmarks: Float32Array): number {
    return this.table.add(landmarks);
  }

  remove(first: number, n: number): void {
    this.table.remove(first, n);
  }

  top(query: Float32Array, k: number, allowed?: (block: number) => boolean): BlockHit[] {
    const top = new TopHits(k, allowed);
    scan(this.table, query, 0, this.table.end, top);
    return top.hits;
  }

  landmark(block: number): Float32Array {
    return this.table.row(block);
  }

  sumExp(query: Float32Array, scale: number, allowed?: (block: number) => boolean): number {
    return sumExp(this.table, query, scale, allowed);
  }
}

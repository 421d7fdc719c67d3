/**
 * An index for large memories: landmarks are grouped into clusters, and a query looks into those that promise most
 * (k-means lists as in the Routing Transformer, arXiv 2003.05997, used as an inverted file). Below a size it compares a
 * query with every landmark, which is exact.
 */
import { type BlockHit, type BlockIndex, LandmarkTable, scan, sumExp, TopHits } from "./block-index.ts";
import { Pace } from "./pace.ts";
import { Rebuild } from "./rebuild.ts";

export interface ClusteredIndexOptions {
  /** Clusters are made from so many blocks on. */
  readonly minBlocks: number;
  /** The share of the clusters that a query looks into. */
  readonly probedShare: number;
}

/** Up to here, half a million tokens, comparing with all landmarks takes a fraction of a millisecond. */
const DEFAULTS: ClusteredIndexOptions = { minBlocks: 2 ** 13, probedShare: 0.1 };

/** The number of clusters, in square roots of the number of blocks: many small ones cost little and miss less. */
const CLUSTERS = 4;
const PASSES = 5;
/** Landmarks that means are made of, for each cluster. */
const SAMPLES = 16;
/** In place of a cluster's number, for blocks that are not there. */
const NOWHERE = -1;

/** A finished grouping. */
interface Clusters {
  /** [nClusters, routeSize] */
  readonly means: Float32Array;
  /** Half of each mean's squared length: nearest is largest dot product less this. */
  readonly halves: Float32Array;
  readonly lists: number[][];
}

export class ClusteredIndex implements BlockIndex {
  readonly #table: LandmarkTable;
  readonly #options: ClusteredIndexOptions;
  #clusters: Clusters | undefined;
  /** The cluster of each block. */
  #clusterOf = new Int32Array(0);
  readonly #rebuild: Rebuild;
  #nCompared = 0;
  /** Blocks that came or went while clusters were being made. */
  #changed = new Set<number>();

  /** An index of landmarks of that size, or of a table whose blocks come and go through this index from now on. */
  constructor(landmarks: number | LandmarkTable, options: Partial<ClusteredIndexOptions> = {}) {
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

  /** Vectors that queries were compared with so far, means included. */
  get nCompared(): number {
    return this.#nCompared;
  }

  /** Settles when no clusters are being made. */
  settled(): Promise<void> {
    return this.#rebuild.settled();
  }

  add(landmarks: Float32Array): number {
    const first = this.#table.add(landmarks);
    const n = landmarks.length / this.#table.routeSize;
    for (let block = first; block < first + n; block++) this.#insert(block);
    this.#rebuild.changed();
    return first;
  }

  remove(first: number, n: number): void {
    for (let block = first; block < first + n; block++) {
      this.#note(block);
      const list = this.#clusters?.lists[this.#clusterOf[block]];
      const at = list?.indexOf(block) ?? -1;
      if (at >= 0) list?.splice(at, 1);
    }
    this.#table.remove(first, n);
    this.#rebuild.changed(n);
  }

  top(query: Float32Array, k: number, allowed?: (block: number) => boolean): BlockHit[] {
    const top = new TopHits(k, allowed);
    if (this.#clusters) this.#probe(this.#clusters, query, top);
    // Also where nearly all that was probed is not allowed.
    if (top.hits.length === k) return top.hits;
    const all = new TopHits(k, allowed);
    this.#nCompared += this.nBlocks;
    scan(this.#table, query, 0, this.#table.end, all);
    return all.hits;
  }

  /** Offers the blocks of the most promising clusters. */
  #probe({ means, halves, lists }: Clusters, query: Float32Array, top: TopHits): void {
    const { rows, routeSize } = this.#table;
    const promise = new Float32Array(lists.length);
    this.#nCompared += lists.length;
    for (let cluster = 0; cluster < promise.length; cluster++) {
      // Landmarks have unit length, so the shorter a mean the wider its cluster, and the better its best may be.
      const spread = Math.sqrt(Math.max(1 - 2 * halves[cluster], 0) / routeSize);
      promise[cluster] = dotAt(query, means, cluster * routeSize) + spread;
    }
    const nProbed = Math.min(Math.ceil(this.#options.probedShare * lists.length), lists.length);
    const bar = promise.slice().sort()[lists.length - nProbed];
    for (let cluster = 0; cluster < promise.length; cluster++) {
      if (promise[cluster] < bar) continue;
      this.#nCompared += lists[cluster].length;
      for (const block of lists[cluster]) {
        const score = dotAt(query, rows, block * routeSize);
        if (score >= top.bar) top.offer(block, score);
      }
    }
  }

  landmark(block: number): Float32Array {
    return this.#table.row(block);
  }

  sumExp(query: Float32Array, scale: number, allowed?: (block: number) => boolean): number {
    return sumExp(this.#table, query, scale, allowed);
  }

  #insert(block: number): void {
    this.#note(block);
    if (!this.#clusters) return;
    this.#clusterOf = grown(this.#clusterOf, block + 1);
    const cluster = nearest(this.#clusters, this.#table.rows, block);
    this.#clusterOf[block] = cluster;
    this.#clusters.lists[cluster].push(block);
  }

  #note(block: number): void {
    if (this.#rebuild.isRunning) this.#changed.add(block);
  }

  async #build(): Promise<void> {
    const { routeSize, end } = this.#table;
    const isThere = (block: number) => !Number.isNaN(this.#table.rows[block * routeSize]);
    const blocks: number[] = [];
    for (let block = 0; block < end; block++) if (isThere(block)) blocks.push(block);
    const nClusters = Math.round(CLUSTERS * Math.sqrt(blocks.length));
    // Files lie one after another, so every so many blocks make a sample of all files.
    const every = Math.max(1, Math.floor(blocks.length / (nClusters * SAMPLES)));
    const sample = this.#copyOf(blocks.filter((_, i) => i % every === 0));
    const pace = new Pace();
    const clusters = await kMeans(sample, routeSize, nClusters, pace);
    let clusterOf = new Int32Array(end).fill(NOWHERE);
    for (const block of blocks) {
      await pace.rest();
      clusterOf[block] = nearest(clusters, this.#table.rows, block);
    }
    // From here on nothing else runs: what changed meanwhile is set right, and the clusters are taken into use.
    clusterOf = grown(clusterOf, this.#table.end);
    for (const block of this.#changed) {
      const isGone = block >= this.#table.end || !isThere(block);
      clusterOf[block] = isGone ? NOWHERE : nearest(clusters, this.#table.rows, block);
    }
    for (const [block, cluster] of clusterOf.entries()) {
      if (cluster !== NOWHERE) clusters.lists[cluster].push(block);
    }
    this.#changed = new Set();
    this.#clusters = clusters;
    this.#clusterOf = clusterOf;
  }

  #copyOf(blocks: readonly number[]): Float32Array {
    const { routeSize } = this.#table;
    const copy = new Float32Array(blocks.length * routeSize);
    for (const [i, block] of blocks.entries()) copy.set(this.#table.row(block), i * routeSize);
    return copy;
  }
}

/** Lloyd's algorithm over rows [n, size], from evenly spread rows; a cluster that ends up empty takes a row of its own. */
async function kMeans(rows: Float32Array, size: number, k: number, pace: Pace): Promise<Clusters> {
  const n = rows.length / size;
  const clusters: Clusters = {
    means: new Float32Array(k * size),
    halves: new Float32Array(k),
    lists: Array.from({ length: k }, () => []),
  };
  const { means, halves } = clusters;
  const reseed = (cluster: number, row: number) =>
    means.set(rows.subarray(row * size, (row + 1) * size), cluster * size);
  for (let cluster = 0; cluster < k; cluster++) reseed(cluster, Math.floor((cluster * n) / k));
  for (let pass = 0; pass <= PASSES; pass++) {
    for (let cluster = 0; cluster < k; cluster++)
      halves[cluster] = dotAt(means.subarray(cluster * size), means, cluster * size, size) / 2;
    if (pass === PASSES) break;
    const sums = new Float64Array(k * size);
    const counts = new Int32Array(k);
    for (let row = 0; row < n; row++) {
      await pace.rest();
      const cluster = nearest(clusters, rows, row);
      counts[cluster]++;
      for (let i = 0; i < size; i++) sums[cluster * size + i] += rows[row * size + i];
    }
    for (let cluster = 0; cluster < k; cluster++) {
      if (counts[cluster] === 0) reseed(cluster, (cluster * 2654435761) % n);
      else for (let i = 0; i < size; i++) means[cluster * size + i] = sums[cluster * size + i] / counts[cluster];
    }
  }
  return clusters;
}

/** The cluster whose mean is closest to a row. */
function nearest({ means, halves }: Clusters, rows: Float32Array, row: number): number {
  const size = means.length / halves.length;
  let best = 0;
  let bestScore = Number.NEGATIVE_INFINITY;
  for (let cluster = 0, at = 0; cluster < halves.length; cluster++) {
    let score = -halves[cluster];
    for (let i = 0, from = row * size; i < size; i++) score += rows[from++] * means[at++];
    if (score > bestScore) {
      bestScore = score;
      best = cluster;
    }
  }
  return best;
}

function dotAt(a: Float32Array, b: Float32Array, at: number, size = a.length): number {
  let sum = 0;
  for (let i = 0; i < size; i++) sum += a[i] * b[at + i];
  return sum;
}

function grown(array: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> {
  if (array.length >= length) return array;
  const larger = new Int32Array(Math.max(length, Math.ceil(array.length * 1.25)));
  larger.set(array);
  return larger.fill(NOWHERE, array.length);
}

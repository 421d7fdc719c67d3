/**
 * The index that fits a memory's size: few blocks are compared one by one, many found by a graph, very many by cluster
 * lists, which take a hundredth of a graph's memory and a third of its time to make.
 */
import { type BlockHit, type BlockIndex, LandmarkTable } from "./block-index.ts";
import { ClusteredIndex } from "./clustered-index.ts";
import { GraphIndex } from "./graph-index.ts";

/** Seventeen million tokens: the graph has some 60 MB and was made in minutes. */
const GRAPH_BLOCKS = 2 ** 18;

export class SizedIndex implements BlockIndex {
  readonly #table: LandmarkTable;
  readonly #graphBlocks: number;
  #index: GraphIndex | ClusteredIndex;

  constructor(routeSize: number, graphBlocks = GRAPH_BLOCKS) {
    this.#table = new LandmarkTable(routeSize);
    this.#graphBlocks = graphBlocks;
    this.#index = new GraphIndex(this.#table);
  }

  get nBlocks(): number {
    return this.#table.nBlocks;
  }

  /** What blocks are found by now. */
  get kind(): "graph" | "clusters" {
    return this.#index instanceof GraphIndex ? "graph" : "clusters";
  }

  /** Settles when nothing is being made. */
  settled(): Promise<void> {
    return this.#index.settled();
  }

  add(landmarks: Float32Array): number {
    const first = this.#index.add(landmarks);
    this.#fit();
    return first;
  }

  remove(first: number, n: number): void {
    this.#index.remove(first, n);
    this.#fit();
  }

  top(query: Float32Array, k: number, allowed?: (block: number) => boolean): BlockHit[] {
    return this.#index.top(query, k, allowed);
  }

  landmark(block: number): Float32Array {
    return this.#table.row(block);
  }

  sumExp(query: Float32Array, scale: number, allowed?: (block: number) => boolean): number {
    return this.#index.sumExp(query, scale, allowed);
  }

  #fit(): void {
    if (this.kind === "graph" && this.nBlocks > this.#graphBlocks) this.#index = new ClusteredIndex(this.#table);
    // A memory around the limit does not go back and forth.
    else if (this.kind === "clusters" && this.nBlocks < this.#graphBlocks / 2)
      this.#index = new GraphIndex(this.#table);
  }
}

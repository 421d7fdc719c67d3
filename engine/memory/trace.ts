/** What a text attended to in the memory: plain values for the diagnostics panel and for citations. */
import type { MemoryClass } from "../models/hybrid-config.ts";

export interface TracedBlock {
  /** Path below the folder, with forward slashes. */
  readonly path: string;
  /** From 1, both included. */
  readonly startLine: number;
  readonly endLine: number;
  readonly class: MemoryClass;
  /** Cosine of the routing query and the block's landmark. */
  readonly score: number;
  /** The share of the layer's attention that the block got, measured: the mean over its heads and the looks below. */
  readonly mass: number;
  /** The same for each head. */
  readonly headMasses: readonly number[];
}

export interface LayerTrace {
  readonly layer: number;
  /** The blocks that were attended to, by falling mass. */
  readonly blocks: readonly TracedBlock[];
  /**
   * Estimated by the routing, not measured: the share of the attention to memory that the last choice catches; null where
   * no routing was trained.
   */
  readonly estimatedRecall: number | null;
  /** How often blocks were chosen. */
  readonly refreshes: number;
  /** How often attention was looked at: at the last token of every run. */
  readonly looks: number;
}

export interface MemoryTrace {
  /** Blocks and tokens in memory. */
  readonly nBlocks: number;
  readonly nTokens: number;
  readonly layers: readonly LayerTrace[];
  /** Read from disk for this text. */
  readonly bytesRead: number;
  /** Spent on choosing and reading blocks. */
  readonly selectMs: number;
}

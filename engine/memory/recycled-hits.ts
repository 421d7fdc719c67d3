/**
 * What landmarks propose for a text, kept while the routing query, a mean over its last tokens, stays close to the one they were
 * asked with (RefreshKV, arXiv 2411.05787: a selection is re-used across decode steps and refreshed when the query has moved away).
 */
import { cosine } from "../runtime/hybrid.ts";
import type { BlockHit } from "./block-index.ts";

/** At or below this cosine between both queries landmarks are asked anew. */
const DRIFT_COSINE = 0.8;

/** Tokens after which they are in any case. */
const KEPT_TOKENS = 12;

export class RecycledHits {
  readonly #search: (query: Float32Array) => readonly BlockHit[];
  #kept: { readonly query: Float32Array; readonly hits: readonly BlockHit[]; nUses: number } | undefined;
  #nSearches = 0;

  constructor(search: (query: Float32Array) => readonly BlockHit[]) {
    this.#search = search;
  }

  /** How often landmarks were asked. */
  get nSearches(): number {
    return this.#nSearches;
  }

  /** The hits for a query of unit length, of one token more. */
  of(query: Float32Array): readonly BlockHit[] {
    let kept = this.#kept;
    if (!kept || kept.nUses >= KEPT_TOKENS || cosine(kept.query, query) <= DRIFT_COSINE) {
      kept = { query, hits: this.#search(query), nUses: 0 };
      this.#kept = kept;
      this.#nSearches++;
    }
    kept.nUses++;
    return kept.hits;
  }
}

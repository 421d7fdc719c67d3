/** What every ranker looks at: the query, the catalogue and the spans the lexical index found for it, read once. */
import type { CatalogueReader, StoredSpan } from "../memory/catalogue-types.ts";
import type { Query } from "./query.ts";

export interface ScoredSpan {
  readonly span: StoredSpan;
  /** BM25 as a share of what a span with every query term in plenty would get: 0 to about 1. */
  readonly score: number;
}

export interface Evidence {
  readonly query: Query;
  readonly catalogue: CatalogueReader;
  /** How much each distinct query term tells, 0 for terms that occur nowhere. */
  readonly idf: ReadonlyMap<string, number>;
  /** How much a term would tell that occurs in hardly any span. */
  readonly rarest: number;
  /** The query terms that occur, as often as they count: what is searched for. */
  readonly known: readonly string[];
  /** What a BM25 score is divided by so that queries of any length compare. */
  readonly fullScore: number;
  /** Best first. */
  readonly spans: readonly ScoredSpan[];
  /** The spans of each file, best first. */
  readonly spansByFile: ReadonlyMap<string, readonly ScoredSpan[]>;
}

/** Evidence that a ranker has for files, by path: 0 to about 1; files it knows nothing of are absent. */
export type Ranker = (evidence: Evidence) => Map<string, number>;

/** A name in a symbol or a path tells more than a word in the text. */
const SPAN_WEIGHTS = { body: 1, symbol: 3, path: 3 };
const MAX_SPANS = 600;
/** BM25's term weight tends to k1 + 1 as a term repeats; FTS5 fixes k1 at 1.2. */
const SATURATION = 2.2;

/** Searches the catalogue for a query. */
export function gatherEvidence(query: Query, catalogue: CatalogueReader): Evidence {
  const { nSpans } = catalogue.stats();
  const frequency = catalogue.spanFrequency(query.terms);
  const tells = (n: number) => Math.log(1 + (nSpans - n + 0.5) / (n + 0.5));
  const idf = new Map(
    query.terms.map((term) => {
      const n = frequency.get(term);
      return [term, n === undefined ? 0 : tells(n)];
    }),
  );
  const known = query.terms.filter((term) => frequency.has(term));
  const fullScore = SATURATION * known.reduce((sum, term) => sum + idf.get(term)!, 0) || 1;
  const hits = known.length === 0 ? [] : catalogue.searchSpans(known, MAX_SPANS, SPAN_WEIGHTS);
  const stored = new Map(catalogue.spans(hits.map((hit) => hit.spanId)).map((span) => [span.id, span]));
  const spans = hits.flatMap(({ spanId, score }) => {
    const span = stored.get(spanId);
    return span ? [{ span, score: score / fullScore }] : [];
  });
  const spansByFile = Map.groupBy(spans, ({ span }) => span.file);
  return { query, catalogue, idf, rarest: tells(0), known, fullScore, spans, spansByFile };
}

/** The share of the query's known terms, weighted by what they tell, that `terms` holds. */
export function coverage({ idf }: Evidence, terms: ReadonlySet<string>): number {
  let found = 0;
  let all = 0;
  for (const [term, weight] of idf) {
    all += weight;
    if (terms.has(term)) found += weight;
  }
  return all === 0 ? 0 : found / all;
}

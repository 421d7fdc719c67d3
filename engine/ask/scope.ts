/** A catalogue seen through some of its paths only: what lies elsewhere is not there. */
import type { CatalogueReader, StoredSpan } from "../memory/catalogue-types.ts";

/** Searches ask for this many times more until enough lies inside. */
const GROWTH = 8;

/** Whether a path is one of `paths`, or lies in one that ends with "/". */
export function isInScope(path: string, paths: readonly string[]): boolean {
  return paths.some((one) => path === one || (one.endsWith("/") && path.startsWith(one)));
}

/**
 * `catalogue` without what lies outside of `paths`: files as they are called there, folders with "/" at their end.
 * How often a term occurs, and the counts, stay those of the whole: a rare word is rare wherever one looks.
 */
export function scopedCatalogue(catalogue: CatalogueReader, paths: readonly string[]): CatalogueReader {
  const isInside = (path: string) => isInScope(path, paths);
  const insideSpan = (span: StoredSpan | undefined) => (span && isInside(span.file) ? span : undefined);

  /** The best `limit` of a search that lie inside; `search` gives the best n of all. */
  function within<T>(limit: number, search: (n: number) => T[], keep: (hits: T[]) => T[]): T[] {
    for (let n = limit * GROWTH; ; n *= GROWTH) {
      const hits = search(n);
      const kept = keep(hits);
      if (kept.length >= limit || hits.length < n) return kept.slice(0, limit);
    }
  }

  return {
    searchSpans: (terms, limit, weights) =>
      within(
        limit,
        (n) => catalogue.searchSpans(terms, n, weights),
        (hits) => {
          const inside = new Set(
            catalogue
              .spans(hits.map(({ spanId }) => spanId))
              .filter(insideSpan)
              .map(({ id }) => id),
          );
          return hits.filter(({ spanId }) => inside.has(spanId));
        },
      ),
    searchFiles: (terms, limit, weights) =>
      within(
        limit,
        (n) => catalogue.searchFiles(terms, n, weights),
        (hits) => hits.filter(({ path }) => isInside(path)),
      ),
    pathsMatching: (terms, limit) =>
      within(
        limit,
        (n) => catalogue.pathsMatching(terms, n),
        (hits) => hits.filter(({ path }) => isInside(path)),
      ),
    symbolsNamed: (names) => catalogue.symbolsNamed(names).filter(({ file }) => isInside(file)),
    spanFrequency: (terms) => catalogue.spanFrequency(terms),
    span: (id) => insideSpan(catalogue.span(id)),
    spans: (ids) => catalogue.spans(ids).filter(insideSpan),
    spansOf: (path) => (isInside(path) ? catalogue.spansOf(path) : []),
    file: (path) => (isInside(path) ? catalogue.file(path) : undefined),
    files: () => catalogue.files().filter(({ path }) => isInside(path)),
    stats: () => catalogue.stats(),
  };
}

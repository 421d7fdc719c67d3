/** What the catalogue of a folder stores and how it is asked: the contract between the memory and the retrieval. */

/** A span that matches, `score` the BM25 score: greater is better. */
export interface SpanHit {
  readonly spanId: number;
  readonly score: number;
}

/** A file that matches, `score` the BM25 score: greater is better. */
export interface FileHit {
  readonly path: string;
  readonly score: number;
}

/** A piece of a file as it was indexed; lines are 1-based and inclusive. */
export interface StoredSpan {
  readonly id: number;
  /** Path below the folder, with forward slashes. */
  readonly file: string;
  readonly startLine: number;
  readonly endLine: number;
  /** The symbol this span is (or is a part of): its name, kind and the name of what contains it. */
  readonly symbol: string | null;
  readonly kind: string | null;
  readonly container: string | null;
  readonly text: string;
  /** The symbol's own doc comment as written in the file, empty where there is none. */
  readonly docText: string;
}

/** A symbol's definition; lines are 1-based and inclusive and leave out the doc comment before it. */
export interface StoredSymbol {
  readonly name: string;
  readonly kind: string;
  readonly container: string | null;
  /** The definition up to its body. */
  readonly signature: string;
  readonly file: string;
  readonly startLine: number;
  readonly endLine: number;
  /** The span that holds its first line. */
  readonly spanId: number;
}

/** An indexed or skipped file. */
export interface StoredFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** The language's name, null for plain text and for skipped files. */
  readonly language: string | null;
  readonly nLines: number;
  /** SHA-256 of the bytes in hex, or the key their source gave; null for files that were skipped unread. */
  readonly contentHash: string | null;
  /** Why the file is not searched, null where it is. */
  readonly skipped: string | null;
}

/** How much an occurrence in each column counts in the BM25 score of spans. */
export interface SpanWeights {
  readonly body: number;
  /** Names of the symbols defined in the span, and of their containers. */
  readonly symbol: number;
  readonly path: number;
}

/** How much an occurrence in each column counts in the BM25 score of whole files. */
export interface FileWeights {
  readonly body: number;
  readonly path: number;
}

export interface CatalogueStats {
  /** Searchable files. */
  readonly nFiles: number;
  readonly nSpans: number;
  readonly nSymbols: number;
  readonly sizeBytes: number;
  /** About: bytes of text divided by 3.5. */
  readonly nTokensAbout: number;
  /** Number of files left out, by reason. */
  readonly skipped: Record<string, number>;
}

/**
 * Questions to the catalogue. Terms are those of terms.ts (`termsOf`); a term given twice counts twice. Terms are
 * joined by OR. All answers are in a fixed order: best first, ties by position.
 */
export interface CatalogueReader {
  searchSpans(terms: readonly string[], limit: number, weights?: SpanWeights): SpanHit[];
  searchFiles(terms: readonly string[], limit: number, weights?: FileWeights): FileHit[];
  /** BM25 over the words of the paths alone. */
  pathsMatching(terms: readonly string[], limit: number): FileHit[];
  /** Definitions with one of these names, whatever their case. */
  symbolsNamed(names: readonly string[]): StoredSymbol[];
  /** In how many spans each term occurs; terms that occur nowhere are absent. */
  spanFrequency(terms: readonly string[]): Map<string, number>;
  span(id: number): StoredSpan | undefined;
  /** In the order of `ids`; ids of spans that are gone are left out. */
  spans(ids: readonly number[]): StoredSpan[];
  /** The spans of a file from top to bottom. */
  spansOf(path: string): StoredSpan[];
  file(path: string): StoredFile | undefined;
  files(): StoredFile[];
  stats(): CatalogueStats;
}

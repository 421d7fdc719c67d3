/** From a question to the files and spans that answer it, best first. */
import type { CatalogueReader, StoredSpan } from "../memory/catalogue-types.ts";
import { type Evidence, gatherEvidence } from "./evidence.ts";
import { fuse, isTest, type RankedFile, SPAN_WEIGHT } from "./fusion.ts";
import { isPreamble } from "./preamble.ts";
import type { Query } from "./query.ts";

export interface RankedSpan {
  readonly span: StoredSpan;
  readonly score: number;
}

export interface Retrieved {
  readonly evidence: Evidence;
  readonly files: readonly RankedFile[];
  readonly spans: readonly RankedSpan[];
}

/** A span that defines what the question names goes before one that uses it. */
const DEFINITION_BONUS = 4;
/** Imports go after what uses them. */
const PREAMBLE_PENALTY = 3;
/** A test shows how the code is used; what it does stands in the code. */
const TEST_PENALTY = 3;
/** Files that are looked into for spans, and spans taken of each, so that one file does not fill the answer. */
const MAX_FILES = 20;
const MAX_SPANS_PER_FILE = 3;

/** Ranks the files and spans of a catalogue for a query. */
export function retrieve(query: Query, catalogue: CatalogueReader): Retrieved {
  const evidence = gatherEvidence(query, catalogue);
  const files = fuse(evidence);
  return { evidence, files, spans: rankSpans(evidence, files.slice(0, MAX_FILES)) };
}

/** A span's score is its file's with its own search score in place of the file's best. */
function rankSpans(evidence: Evidence, files: readonly RankedFile[]): RankedSpan[] {
  const definitions = definingSpans(evidence);
  return files
    .flatMap(({ path, score }) => {
      const hits = evidence.spansByFile.get(path) ?? [];
      const best = hits[0]?.score ?? 0;
      const found = new Map(hits.map((hit) => [hit.span.id, hit]));
      for (const span of definitions.get(path) ?? []) {
        if (!found.has(span.id)) found.set(span.id, { span, score: 0 });
      }
      const defining = new Set(definitions.get(path)?.map((span) => span.id));
      const bonus = (span: StoredSpan) =>
        (defining.has(span.id) ? DEFINITION_BONUS : 0) -
        (isPreamble(span) ? PREAMBLE_PENALTY : 0) -
        (isTest(path, evidence.query) ? TEST_PENALTY : 0);
      return [...found.values()]
        .map((hit) => ({ span: hit.span, score: score + SPAN_WEIGHT * (hit.score - best) + bonus(hit.span) }))
        .sort(byScore)
        .slice(0, MAX_SPANS_PER_FILE);
    })
    .sort(byScore);
}

/** The spans that define the identifiers of the question, by file. */
function definingSpans({ query, catalogue }: Evidence): Map<string, StoredSpan[]> {
  const ids = new Set(catalogue.symbolsNamed(query.identifiers).map((symbol) => symbol.spanId));
  return Map.groupBy(catalogue.spans([...ids]), (span) => span.file);
}

function byScore(a: RankedSpan, b: RankedSpan): number {
  return b.score - a.score || a.span.id - b.span.id;
}

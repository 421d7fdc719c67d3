/**
 * Puts the rankers together: a weighted sum of what each says, every one scaled to 0 .. about 1 by the query and not by
 * its best file, so that a weak best file stays weak.
 *
 * The weights are those of a listwise softmax regression (Cao et al., "Learning to Rank: From Pairwise Approach to
 * Listwise Approach", 2007) on the rankers' values, rounded. Reciprocal rank fusion, which throws the scores away, was
 * worse. `npm run eval -- retrieval` measures the whole.
 */
import type { Evidence, Ranker } from "./evidence.ts";
import { wholeFile } from "./rankers/file.ts";
import { pathWords, scope, spelledOut } from "./rankers/path.ts";
import { bestSpan, secondSpan } from "./rankers/spans.ts";
import { definedSymbol } from "./rankers/symbol.ts";

const RANKERS: readonly { readonly rank: Ranker; readonly weight: number }[] = [
  { rank: bestSpan, weight: 9 },
  { rank: secondSpan, weight: 5 },
  { rank: wholeFile, weight: 5 },
  { rank: pathWords, weight: 7 },
  { rank: scope, weight: 4 },
  { rank: definedSymbol, weight: 4 },
  { rank: spelledOut, weight: 6 },
];

/** What a span's own score weighs against its file's. */
export const SPAN_WEIGHT = 9;

/** Files of these kinds repeat the words of the code they are about: they rank lower unless the question names the kind. */
const SIDE_FILES: readonly { readonly kind: "tests" | "docs" | "examples"; readonly pattern: RegExp }[] = [
  {
    kind: "tests",
    pattern:
      /(?:^|\/)(?:tests?|__tests__|specs?|testing|testdata|fixtures|e2e)\/|[._](?:test|spec)\.\w+$|(?:^|\/)test_[^/]*$/i,
  },
  { kind: "docs", pattern: /(?:^|\/)docs?\/|\.(?:md|mdx|rst|adoc|txt)$|(?:^|\/)(?:changelog|licen[cs]e)[^/]*$/i },
  { kind: "examples", pattern: /(?:^|\/)(?:examples?|demos?|samples?|playground|benchmarks?)\//i },
];
const SIDE_FILE_PENALTY = 1;

export interface RankedFile {
  readonly path: string;
  readonly score: number;
}

/** Every file that any ranker knows, best first, ties by path. */
export function fuse(evidence: Evidence): RankedFile[] {
  const scores = new Map<string, number>();
  for (const { rank, weight } of RANKERS) {
    for (const [path, value] of rank(evidence)) scores.set(path, (scores.get(path) ?? 0) + weight * value);
  }
  const { mentions } = evidence.query;
  const penalty = (path: string) =>
    SIDE_FILES.some(({ kind, pattern }) => !mentions[kind] && pattern.test(path)) ? SIDE_FILE_PENALTY : 0;
  return [...scores]
    .map(([path, score]) => ({ path, score: score - penalty(path) }))
    .sort((a, b) => b.score - a.score || (a.path < b.path ? -1 : 1));
}

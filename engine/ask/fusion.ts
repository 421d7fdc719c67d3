/**
 * Puts the rankers together: a weighted sum of what each says, every one scaled to 0 .. about 1 by the query and not by
 * its best file, so that a weak best file stays weak.
 *
 * The weights are those of a listwise softmax regression (Cao et al., "Learning to Rank: From Pairwise Approach to
 * Listwise Approach", 2007) on the rankers' values, rounded. Reciprocal rank fusion, which throws the scores away, was
 * worse. `npm run eval -- retrieval` measures the whole.
 */
import type { Evidence, Ranker } from "./evidence.ts";
import type { Query } from "./query.ts";
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

type SideKind = keyof Query["mentions"];

/** Files of these kinds repeat the words of the code they are about: they rank lower unless the question names the kind. */
const SIDE_FILES: readonly { readonly kind: SideKind; readonly pattern: RegExp }[] = [
  {
    kind: "tests",
    pattern:
      /(?:^|\/)(?:(?:\w+[-_])?tests?|__tests__|specs?|testing|testdata|fixtures|e2e)\/|[._](?:test|spec)\.\w+$|\.\w*test$|(?:^|\/)test_[^/]*$/i,
  },
  { kind: "docs", pattern: /(?:^|\/)docs?\/|\.(?:md|mdx|rst|adoc|txt)$|(?:^|\/)(?:changelog|licen[cs]e)[^/]*$/i },
  { kind: "examples", pattern: /(?:^|\/)(?:examples?|demos?|samples?|playground|benchmarks?)\//i },
];
const SIDE_FILE_PENALTY = 1;

const isAside = (path: string, { mentions }: Query, kinds: readonly SideKind[]) =>
  SIDE_FILES.some(({ kind, pattern }) => kinds.includes(kind) && !mentions[kind] && pattern.test(path));

/** Whether a file is a test or an example, and the question does not speak of them. */
export function isTest(path: string, query: Query): boolean {
  return isAside(path, query, ["tests", "examples"]);
}

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
  const penalty = (path: string) =>
    isAside(path, evidence.query, ["tests", "docs", "examples"]) ? SIDE_FILE_PENALTY : 0;
  return [...scores]
    .map(([path, score]) => ({ path, score: score - penalty(path) }))
    .sort((a, b) => b.score - a.score || (a.path < b.path ? -1 : 1));
}

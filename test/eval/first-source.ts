/**
 * `npm run eval -- pointer --cases FILE.jsonl [--cases ...] --repos DIR [--limit N] [--json]`: how often the first source
 * of an answer is of a right file, as the pointer chooses it and as the search alone ranks it. Questions are asked of
 * their own repository, indexed at the commit of its first case.
 */
import { ask } from "../../engine/ask/ask.ts";
import { parseQuery } from "../../engine/ask/query.ts";
import { retrieve } from "../../engine/ask/retrieve.ts";
import { LongsightError } from "../../engine/errors.ts";
import { type Row, told } from "../bench/rows.ts";
import { readCases } from "./cases.ts";
import { indexedAt } from "./indexed.ts";
import { progressBar } from "./progress.ts";

export interface FirstSourceOptions {
  readonly cases: readonly string[];
  readonly repos: string;
  /** Questions taken of each repository. */
  readonly limit?: number;
  /** One sentence about cases left out. */
  readonly warn: (sentence: string) => void;
}

/** Of one question that something was found for. */
interface Answered {
  readonly isRightRanked: boolean;
  readonly isRightPointed: boolean;
  readonly stability: number | null;
}

/** Below the first the panel says that another source might as well be the first; above the second it is firm. */
const FIRMNESS = [0.25, 0.75];

/**
 * Runs the evaluation.
 * @throws LongsightError where the cases cannot be read, or where nothing is found for any of them.
 */
export async function evaluateFirstSource({ cases, repos, limit, warn }: FirstSourceOptions): Promise<Row[]> {
  const casesOf = Map.groupBy(
    cases.flatMap((file) => readCases(file).filter(({ kind }) => kind === "question")),
    ({ repo }) => repo,
  );
  const answered: Answered[] = [];
  let asked = 0;
  const bar = progressBar("Asking", casesOf.size);
  try {
    for (const [repo, all] of casesOf) {
      const indexed = await indexedAt(repos, all[0]);
      bar.increment();
      if (typeof indexed === "string") {
        warn(`${repo} is left out: ${indexed}.`);
        continue;
      }
      const { catalogue, close } = indexed;
      for (const { query, gold } of all.slice(0, limit)) {
        asked++;
        const { found, citations, stability } = await ask(query, { catalogue, folderName: repo });
        if (!found) continue;
        const [ranked] = retrieve(parseQuery(query), catalogue).spans;
        const isRight = (file: string) => gold.includes(file);
        const [isRightRanked, isRightPointed] = [isRight(ranked.span.file), isRight(citations[0].file)];
        answered.push({ isRightRanked, isRightPointed, stability });
      }
      close();
    }
  } finally {
    bar.stop();
  }
  if (answered.length === 0) {
    throw new LongsightError(
      "bad-input",
      "Questions about a repository that is there are needed; see --cases, --repos.",
    );
  }
  return [told("questions asked", asked, ""), ...rowsOf(answered)];
}

function rowsOf(answered: readonly Answered[]): Row[] {
  const percent = (of: readonly Answered[], is: (one: Answered) => boolean) => (100 * of.filter(is).length) / of.length;
  const count = (is: (one: Answered) => boolean) => answered.filter(is).length;
  const [low, high] = FIRMNESS;
  const between = (name: string, from: number, to: number) => {
    const of = answered.filter(({ stability }) => stability !== null && stability >= from && stability < to);
    const rows = [told(`questions with a firmness ${name}`, of.length, "")];
    if (of.length > 0) {
      const right = percent(of, ({ isRightPointed }) => isRightPointed);
      rows.push(told(`first source right, firmness ${name}`, right, "%"));
    }
    return rows;
  };
  return [
    told("of them something was found for", answered.length, ""),
    told(
      "first source right, by the search alone",
      percent(answered, ({ isRightRanked }) => isRightRanked),
      "%",
    ),
    told(
      "first source right, by the pointer",
      percent(answered, ({ isRightPointed }) => isRightPointed),
      "%",
    ),
    told(
      "right by the pointer only",
      count(({ isRightPointed, isRightRanked }) => isRightPointed && !isRightRanked),
      "questions",
    ),
    told(
      "right by the search only",
      count(({ isRightPointed, isRightRanked }) => isRightRanked && !isRightPointed),
      "questions",
    ),
    ...between(`below ${low}`, 0, low),
    ...between(`${low} to ${high}`, low, high),
    ...between(`above ${high}`, high, Number.POSITIVE_INFINITY),
  ];
}

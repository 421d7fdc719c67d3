/**
 * `npm run eval -- not-found --cases FILE.jsonl [--cases ...] --repos DIR [--limit N] [--json]`: whether an answer knows
 * when it has none.
 *
 * Every question is asked of its own repository, where something should be found, and of every other one, where
 * nothing should. A repository is indexed whole, as a user's folder is, at the commit of its first case.
 */
import { parseQuery } from "../../engine/ask/query.ts";
import { retrieve } from "../../engine/ask/retrieve.ts";
import { isSupported } from "../../engine/ask/support.ts";
import { LongsightError } from "../../engine/errors.ts";
import { readCases } from "./cases.ts";
import { indexedAt } from "./indexed.ts";
import { progressBar } from "./progress.ts";

export interface NotFoundResult {
  readonly nRepos: number;
  /** Questions asked of their own repository, and the share of them where something was found. */
  readonly own: { readonly n: number; readonly found: number };
  /** Questions asked of another repository, and the share of them where nothing was found. */
  readonly other: { readonly n: number; readonly notFound: number };
  /** The mean of the two shares. */
  readonly accuracy: number;
}

export interface NotFoundOptions {
  readonly cases: readonly string[];
  readonly repos: string;
  /** Cases taken from each file. */
  readonly limit?: number;
  /** One sentence about cases left out. */
  readonly warn: (sentence: string) => void;
}

/**
 * Runs the evaluation.
 * @throws LongsightError where the cases cannot be read, or where they are of fewer than two repositories.
 */
export async function evaluateNotFound({ cases, repos, limit, warn }: NotFoundOptions): Promise<NotFoundResult> {
  const casesOf = Map.groupBy(
    cases.flatMap((file) => readCases(file).slice(0, limit)),
    ({ repo }) => repo,
  );
  const asked = [...casesOf.values()].flat();
  const own: boolean[] = [];
  const other: boolean[] = [];
  let nRepos = 0;
  const bar = progressBar("Asking", casesOf.size);
  try {
    for (const [repo, [first]] of casesOf) {
      const catalogue = await indexedAt(repos, first);
      bar.increment();
      if (typeof catalogue === "string") {
        warn(`${repo} is left out: ${catalogue}.`);
        continue;
      }
      nRepos++;
      for (const { repo: about, query } of asked) {
        (about === repo ? own : other).push(isSupported(retrieve(parseQuery(query), catalogue.catalogue)));
      }
      catalogue.close();
    }
  } finally {
    bar.stop();
  }
  if (own.length === 0 || other.length === 0) {
    throw new LongsightError("bad-input", "Questions about two repositories that are there are needed; add --cases.");
  }
  const share = (answers: readonly boolean[], wanted: boolean) =>
    answers.filter((answer) => answer === wanted).length / answers.length;
  const [found, notFound] = [share(own, true), share(other, false)];
  return {
    nRepos,
    own: { n: own.length, found },
    other: { n: other.length, notFound },
    accuracy: (found + notFound) / 2,
  };
}

/** The result as a table. */
export function formatNotFound({ nRepos, own, other, accuracy }: NotFoundResult): string {
  const row = (name: string, n: number | string, share: number) =>
    `${name.padEnd(28)}${n}`.padEnd(36) + share.toFixed(3);
  return [
    row("own repository: found", own.n, own.found),
    row("another one: not found", other.n, other.notFound),
    row("accuracy", `${nRepos} repos`, accuracy),
  ].join("\n");
}

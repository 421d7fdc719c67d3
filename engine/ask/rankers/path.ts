/** What the question says of a file's place: words of its path, its scope, or the path spelled out. */
import { termsOf } from "../../memory/terms.ts";
import { coverage, type Ranker } from "../evidence.ts";

const MAX_FILES = 200;

/** How much of the question the words of a path cover. */
export const pathWords: Ranker = (evidence) => {
  const { catalogue, known } = evidence;
  const files = known.length === 0 ? [] : catalogue.pathsMatching(known, MAX_FILES);
  return new Map(files.map(({ path }) => [path, coverage(evidence, new Set(termsOf(path)))]));
};

/** The share of the question's leading scope that the path has. */
export const scope: Ranker = ({ catalogue, query }) => {
  const files = query.scope.length === 0 ? [] : catalogue.pathsMatching(query.scope, MAX_FILES);
  return new Map(
    files.map(({ path }) => {
      const terms = new Set(termsOf(path));
      return [path, query.scope.filter((term) => terms.has(term)).length / query.scope.length];
    }),
  );
};

/** Files whose path, or the end of it, the question spells out. */
export const spelledOut: Ranker = ({ catalogue, query }) => {
  const terms = query.paths.flatMap(termsOf);
  const files = terms.length === 0 ? [] : catalogue.pathsMatching(terms, MAX_FILES);
  return new Map(
    files
      .filter(({ path }) => query.paths.some((asked) => `/${path.toLowerCase()}`.endsWith(`/${asked}`)))
      .map(({ path }) => [path, 1]),
  );
};

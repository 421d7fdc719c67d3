/** BM25 over whole files: words of the question that lie far apart in one file. */
import type { Ranker } from "../evidence.ts";

const MAX_FILES = 200;
const FILE_WEIGHTS = { body: 1, path: 3 };

export const wholeFile: Ranker = ({ catalogue, known, fullScore }) =>
  new Map(
    known.length === 0
      ? []
      : catalogue.searchFiles(known, MAX_FILES, FILE_WEIGHTS).map(({ path, score }) => [path, score / fullScore]),
  );

/** Files that define what the question names as code; a name few files define tells more. */
import type { Ranker } from "../evidence.ts";

export const definedSymbol: Ranker = ({ catalogue, query }) => {
  const filesByName = new Map<string, Set<string>>();
  for (const { name, file } of catalogue.symbolsNamed(query.identifiers)) {
    const key = name.toLowerCase();
    filesByName.set(key, (filesByName.get(key) ?? new Set()).add(file));
  }
  const nFiles = catalogue.stats().nFiles;
  const tells = (files: Set<string>) => Math.log(1 + nFiles / files.size);
  const all = [...filesByName.values()].reduce((sum, files) => sum + tells(files), 0);
  const found = new Map<string, number>();
  for (const files of filesByName.values()) {
    for (const file of files) found.set(file, (found.get(file) ?? 0) + tells(files) / all);
  }
  return found;
};

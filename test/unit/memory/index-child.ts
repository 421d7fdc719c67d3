/**
 * Run as a process by tests: indexes argv[2] into the catalogue in argv[3], says "indexing" on stderr when it begins, and
 * prints one line of JSON, the result with the catalogue's faults, or the error.
 */
import { LongsightError } from "../../../engine/errors.ts";
import { Catalogue } from "../../../engine/memory/catalogue.ts";
import { type IndexProgress, indexFolder } from "../../../engine/memory/indexer.ts";
import { faultsOf } from "./folder.ts";

const [folder, dir] = process.argv.slice(2);
try {
  const catalogue = Catalogue.open(dir);
  let hasBegun = false;
  const onProgress = ({ phase }: IndexProgress) => {
    if (phase === "indexing" && !hasBegun) process.stderr.write("indexing");
    hasBegun ||= phase === "indexing";
  };
  const result = await indexFolder(folder, { catalogue, onProgress });
  console.log(JSON.stringify({ ...result, faults: faultsOf(catalogue) }));
  catalogue.close();
} catch (error) {
  if (!(error instanceof LongsightError)) throw error;
  console.log(JSON.stringify({ code: error.code, message: error.message }));
}

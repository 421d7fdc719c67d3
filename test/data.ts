/** Third-party test data that lies outside the repository. Tests that need it are skipped visibly where it is absent. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../engine/paths.ts";

const dataDir = process.env.LONGSIGHT_TEST_DATA ?? join(packageRoot, "..", "shared", "data");

/** The path of a piece of third-party data, and node:test's `skip` value for tests that need it. */
export function testData(relativePath: string): { path: string; skip: string | false } {
  const path = join(dataDir, relativePath);
  return {
    path,
    skip: existsSync(path) ? false : `third-party data ${relativePath} is absent (set LONGSIGHT_TEST_DATA)`,
  };
}

/** A repository as it was at a case's commit, indexed whole, as a user's folder is. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Catalogue } from "../../engine/memory/catalogue.ts";
import { indexFiles } from "../../engine/memory/indexer.ts";
import type { Case } from "./cases.ts";
import { gitDirOf, Snapshot } from "./snapshot.ts";

/** The files of a case's commit in a catalogue of their own, or why there are none. */
export async function indexedAt(
  repos: string,
  { repo, commit }: Case,
): Promise<{ catalogue: Catalogue; close: () => void } | string> {
  const gitDir = gitDirOf(repos, repo);
  if (!existsSync(gitDir)) return `${gitDir} does not exist`;
  const snapshot = new Snapshot(gitDir);
  const dir = mkdtempSync(join(tmpdir(), "longsight-eval-"));
  const catalogue = Catalogue.open(dir);
  const close = () => {
    catalogue.close();
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    const resolved = await snapshot.resolve(commit);
    if (resolved) {
      const tree = await snapshot.files(resolved);
      await indexFiles(
        tree.map((file) => snapshot.sourceFile(file)),
        catalogue,
      );
      return { catalogue, close };
    }
    close();
    return `it has no commit ${commit} in this snapshot`;
  } catch (error) {
    close();
    throw error;
  } finally {
    snapshot.close();
  }
}

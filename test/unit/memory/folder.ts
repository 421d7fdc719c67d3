/** Folders for tests of the catalogue: made for one test, gone when it ends. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { Catalogue } from "../../../engine/memory/catalogue.ts";

/** An empty folder. */
export function scratch(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "longsight-memory-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes files, from path below the folder to text. */
export function write(folder: string, files: Record<string, string>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

/** The catalogue in a folder, closed when the test ends; what it logs is kept in `lines`. */
export function open(context: TestContext, dir: string, lines: string[] = []): Catalogue {
  const catalogue = Catalogue.open(dir, (line) => lines.push(line));
  context.after(() => catalogue.close());
  return catalogue;
}

/** Everything a reader can see of a catalogue but the numbers of its rows. */
export function contentsOf(catalogue: Catalogue): unknown {
  return catalogue.files().map((file) => ({
    file,
    spans: catalogue.spansOf(file.path).map(({ id: _, ...span }) => span),
  }));
}

/** What no stop at any moment may break: SQLite's own checks, and terms for exactly the files that are there. */
export function faultsOf(catalogue: Catalogue): string[] {
  const one = (sql: string) => Object.values(catalogue.database.prepare(sql).get() ?? {})[0];
  const faults: string[] = [];
  const integrity = one("PRAGMA integrity_check");
  if (integrity !== "ok") faults.push(String(integrity));
  for (const table of ["span_terms", "file_terms", "path_terms"]) {
    try {
      catalogue.database.exec(`INSERT INTO ${table}(${table}) VALUES ('integrity-check')`);
    } catch (error) {
      faults.push(`${table}: ${(error as Error).message}`);
    }
  }
  const { nSpans } = catalogue.stats();
  const nTerms = Number(one("SELECT count(*) FROM span_terms"));
  if (nTerms !== nSpans) faults.push(`${nSpans} spans but ${nTerms} rows of terms`);
  const orphans = one(
    "SELECT count(*) FROM files WHERE content IS NOT NULL AND content NOT IN (SELECT id FROM contents)",
  );
  if (orphans !== 0) faults.push(`${orphans} files without contents`);
  return faults;
}

/** Speed of the lexical index and of answers from it, over a folder of a million tokens. */
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { ask } from "../../engine/ask/ask.ts";
import { BYTES_PER_TOKEN, Catalogue } from "../../engine/memory/catalogue.ts";
import { indexFolder } from "../../engine/memory/indexer.ts";
import { packageRoot } from "../../engine/paths.ts";
import { atMost, median, type Row, spread } from "./rows.ts";

const N_TOKENS = 1_000_000;
const N_ROUNDS = 5;
/** Larger files are bundles. */
const MAX_BYTES = 100_000;

const QUESTIONS = [
  "Where are identifiers split into search terms?",
  "How does the catalogue survive a process that is killed?",
  "Which function parses a regular expression?",
  "How is the key/value cache handed to the session?",
  "What happens when the disk is full?",
  "How are symbolic links handled when a folder is listed?",
  "Where is the progress bar drawn?",
  "What does readContent return for UTF-16?",
  "JSON-RPC cancellation of a pending request",
  "How does protobuf encode a varint?",
];

/** Source files below a folder, in a fixed order. */
function* sourcesBelow(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* sourcesBelow(path);
    else if (/\.(?:[cm]?[jt]sx?|py|md)$/.test(entry.name) && !/\.min\./.test(entry.name)) yield path;
  }
}

/** Copies this project's sources and those of its packages into `folder` until they make N_TOKENS. */
export function fill(folder: string): void {
  let nBytes = 0;
  for (const part of ["engine", "test", "node_modules"]) {
    for (const path of sourcesBelow(join(packageRoot, part))) {
      const { size } = statSync(path);
      if (size > MAX_BYTES) continue;
      const copy = join(folder, relative(packageRoot, path).replace(/^node_modules/, "packages"));
      mkdirSync(dirname(copy), { recursive: true });
      copyFileSync(path, copy);
      nBytes += size;
      if (nBytes >= N_TOKENS * BYTES_PER_TOKEN) return;
    }
  }
}

/** Indexes the folder, indexes it again unchanged, and asks. */
export async function benchIndex(): Promise<Row[]> {
  const base = mkdtempSync(join(tmpdir(), "longsight-bench-"));
  try {
    const folder = join(base, "folder");
    fill(folder);
    const catalogue = Catalogue.open(join(base, "index"));
    const first = await indexFolder(folder, { catalogue });
    const agains: number[] = [];
    for (let i = 0; i < N_ROUNDS; i++) agains.push((await indexFolder(folder, { catalogue })).ms);
    // The slowest question counts, each by its median.
    let slowestMs = 0;
    for (const question of QUESTIONS) {
      const times: number[] = [];
      for (let i = 0; i < N_ROUNDS; i++) {
        times.push((await ask(question, { catalogue, folderName: "folder" })).timingsMs.citations);
      }
      slowestMs = Math.max(slowestMs, median(times));
    }
    catalogue.close();
    const million = `${(first.nTokensAbout / 1e6).toFixed(2)} million tokens`;
    return [
      atMost(`lexical index, ${million}`, first.ms / 1000, "s", 20),
      spread(
        atMost("index again, nothing changed", median(agains) / 1000, "s", 1),
        agains.map((ms) => ms / 1000),
      ),
      atMost(`ask to citations, slowest of ${QUESTIONS.length}`, slowestMs, "ms", 300),
    ];
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

/**
 * `npm run eval -- retrieval --cases FILE.jsonl --repos DIR [--limit N] [--json]`: how well files are found.
 *
 * For each case the files of its commit, read from the bare repository DIR/OWNER+NAME/repo, are indexed and ranked by
 * BM25 over whole files, BM25 over spans (a file scores as its best span) and Longsight, all over the same pool.
 * Successive commits share nearly all files: only what differs is read, cut and indexed again.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseQuery } from "../../engine/ask/query.ts";
import { retrieve } from "../../engine/ask/retrieve.ts";
import { LongsightError } from "../../engine/errors.ts";
import { Catalogue } from "../../engine/memory/catalogue.ts";
import { indexFiles } from "../../engine/memory/indexer.ts";
import { MAX_FILE_BYTES } from "../../engine/workspace/files.ts";
import { type Bag, bag, bm25 } from "./bm25.ts";
import { type Case, readCases } from "./cases.ts";
import { firstRank, type Metrics, metrics } from "./metrics.ts";
import { isNonTestSource, isSource } from "./pool.ts";
import { progressBar } from "./progress.ts";
import { gitDirOf, Snapshot, type TreeFile } from "./snapshot.ts";

const RANKERS = ["bm25File", "bm25Span", "longsight"] as const;
type RankerName = (typeof RANKERS)[number];

export interface RetrievalResult {
  /** Cases that were ranked. */
  readonly n: number;
  /** Cases left out because a repository or commit is missing. */
  readonly skipped: number;
  readonly rankers: Record<RankerName, Metrics>;
}

export interface RetrievalOptions {
  readonly cases: string;
  readonly repos: string;
  readonly limit?: number;
  /** One sentence about cases left out. */
  readonly warn: (sentence: string) => void;
}

/** Runs the evaluation. Errors: a LongsightError where the cases cannot be read or none of them can be ranked. */
export async function evaluateRetrieval({ cases, repos, limit, warn }: RetrievalOptions): Promise<RetrievalResult> {
  const all = readCases(cases).slice(0, limit);
  const ranks: Record<RankerName, number[]> = { bm25File: [], bm25Span: [], longsight: [] };
  const left = new Map<string, number>();
  const bar = progressBar("Ranking", all.length);
  try {
    for (const [repo, ofRepo] of Map.groupBy(all, ({ repo }) => repo)) {
      const workbench = Workbench.open(repos, repo);
      try {
        for (const one of ofRepo) {
          const ranked = workbench ? await workbench.rank(one) : `${gitDirOf(repos, repo)} does not exist`;
          if (typeof ranked === "string") left.set(ranked, (left.get(ranked) ?? 0) + 1);
          else for (const name of RANKERS) ranks[name].push(firstRank(ranked[name], one.gold));
          bar.increment();
        }
      } finally {
        workbench?.close();
      }
    }
  } finally {
    bar.stop();
  }
  for (const [reason, n] of left) warn(`${n} of ${all.length} cases left out: ${reason}.`);
  const n = ranks.longsight.length;
  if (n === 0) throw new LongsightError("not-found", `No case could be ranked: ${[...left.keys()][0]}.`);
  const measured = RANKERS.map((name) => [name, metrics(ranks[name])] as const);
  return { n, skipped: all.length - n, rankers: Object.fromEntries(measured) as Record<RankerName, Metrics> };
}

/** The words of a file as the baselines count them. */
interface Bags {
  readonly file: Bag;
  readonly spans: readonly Bag[];
}

/** One repository with an index that follows from commit to commit. */
class Workbench {
  readonly #snapshot: Snapshot;
  readonly #dir = mkdtempSync(join(tmpdir(), "longsight-eval-"));
  readonly #catalogue = Catalogue.open(this.#dir);
  /** The bags of the last case's files, by path and blob. */
  #bags = new Map<string, Bags>();

  private constructor(snapshot: Snapshot) {
    this.#snapshot = snapshot;
  }

  /** Undefined where the repository is not there. */
  static open(repos: string, repo: string): Workbench | undefined {
    const gitDir = gitDirOf(repos, repo);
    return existsSync(gitDir) ? new Workbench(new Snapshot(gitDir)) : undefined;
  }

  /** The paths in each ranker's order, or why the case cannot be ranked. */
  async rank({ repo, commit, query, kind }: Case): Promise<Record<RankerName, string[]> | string> {
    const resolved = await this.#snapshot.resolve(commit);
    if (!resolved) return `${repo} has no commit ${commit} in this snapshot`;
    const inPool = kind === "question" ? isSource : isNonTestSource;
    const tree = await this.#snapshot.files(resolved);
    const pool = tree.filter(({ path, sizeBytes }) => inPool(path) && sizeBytes <= MAX_FILE_BYTES);
    await indexFiles(
      pool.map((file) => this.#snapshot.sourceFile(file)),
      this.#catalogue,
    );
    await this.#fillBags(pool);
    const bags = pool.map((file) => this.#bags.get(keyOf(file))!);
    const paths = pool.map(({ path }) => path);
    const spanFiles = bags.flatMap(({ spans }, file) => spans.map(() => paths[file]));
    return {
      bm25File: byScore(
        paths,
        bm25(
          query,
          bags.map(({ file }) => file),
        ),
      ),
      bm25Span: byScore(
        spanFiles,
        bm25(
          query,
          bags.flatMap(({ spans }) => spans),
        ),
      ),
      longsight: retrieve(parseQuery(query), this.#catalogue).files.map(({ path }) => path),
    };
  }

  close(): void {
    this.#snapshot.close();
    this.#catalogue.close();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  async #fillBags(pool: readonly TreeFile[]): Promise<void> {
    const bags = new Map<string, Bags>();
    for (const file of pool) {
      const key = keyOf(file);
      bags.set(key, this.#bags.get(key) ?? (await this.#bagsOf(file)));
    }
    this.#bags = bags;
  }

  async #bagsOf({ path, blob }: TreeFile): Promise<Bags> {
    const text = (await this.#snapshot.read(blob)).toString("utf8");
    return { file: bag(path, text), spans: this.#catalogue.spansOf(path).map((span) => bag(path, span.text)) };
  }
}

function keyOf({ path, blob }: TreeFile): string {
  return `${blob} ${path}`;
}

/** Names by falling score, each at its best place; what scores nothing is not found. */
function byScore(names: readonly string[], scores: Float64Array): string[] {
  const order = [...scores.keys()].filter((index) => scores[index] > 0).sort((a, b) => scores[b] - scores[a] || a - b);
  return [...new Set(order.map((index) => names[index]))];
}

/** The result as a table. */
export function formatRetrieval({ n, rankers }: RetrievalResult): string {
  const row = (name: string, cells: string[]) => name.padEnd(12) + cells.map((cell) => cell.padStart(8)).join("");
  const columns = ["hit1", "hit5", "hit10", "mrr"] as const;
  const lines = RANKERS.map((name) =>
    row(
      name,
      columns.map((column) => rankers[name][column].toFixed(3)),
    ),
  );
  return [row(`n ${n}`, [...columns]), ...lines].join("\n");
}

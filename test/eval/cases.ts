/** Retrieval cases: a query, the commit whose files are ranked, and the files that count as found. */
import { readFileSync } from "node:fs";
import { fileError, LongsightError } from "../../engine/errors.ts";

export interface Case {
  readonly repo: string;
  /** The commit whose tree is ranked: a change's parent, or the commit a question was asked about. */
  readonly commit: string;
  readonly query: string;
  readonly gold: readonly string[];
  /** A commit message ranks non-test source files, a question every source file. */
  readonly kind: "change" | "question";
}

/**
 * Reads cases, one JSON object a line: {repo, parent, query, gold} for changes, {repo, commit, question, gold} for
 * questions. Throws a LongsightError that names the first line that is neither.
 */
export function readCases(file: string): Case[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw fileError(error, file);
  }
  const cases = text
    .split("\n")
    .flatMap((line, index) => (line.trim() ? [parseCase(line, `${file}:${index + 1}`)] : []));
  if (cases.length === 0) throw new LongsightError("bad-input", `${file} holds no cases; give a JSONL file of cases.`);
  return cases;
}

function parseCase(line: string, place: string): Case {
  let fields: Record<string, unknown>;
  try {
    fields = Object(JSON.parse(line));
  } catch {
    throw new LongsightError("bad-input", `${place} is not JSON; give one JSON object a line.`);
  }
  const { repo, parent, commit, query, question, gold } = fields;
  const kind = typeof question === "string" ? "question" : "change";
  const [at, asked] = kind === "question" ? [commit, question] : [parent, query];
  const isRepo = typeof repo === "string" && /^[\w.-]+\/[\w.-]+$/.test(repo) && !repo.split("/").includes("..");
  const isCommit = typeof at === "string" && /^[0-9a-f]{4,64}$/.test(at);
  const isGold = Array.isArray(gold) && gold.length > 0 && gold.every((path) => typeof path === "string");
  if (!isRepo || !isCommit || typeof asked !== "string" || !isGold) {
    throw new LongsightError(
      "bad-input",
      `${place} is no case; it needs repo, gold, and either parent and query or commit and question.`,
    );
  }
  return { repo, commit: at, query: asked, gold, kind };
}

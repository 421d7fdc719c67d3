/** Edits that people made to a repository, from its history: lines they wrote, and the files around them before that. */
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";

export interface RealEdit {
  /** Path below the repository's root. */
  readonly path: string;
  /** The file with everything of the commit but the lines that are typed. */
  readonly text: string;
  /** Where they stood. */
  readonly offset: number;
  readonly typed: string;
}

const CODE = /\.(?:[cm]?[jt]sx?|py|go|rs|java|rb|c|cc|cpp|h)$/;
const MAX_FILE_CHARS = 200_000;
/** Shorter edits are not worth a completion, longer ones are often pasted. */
const LINES = { min: 2, max: 12 };
const MAX_COMMITS = 1000;

/**
 * The newest `n` edits of a repository, one of each commit, with its files in `folder` as they were before all of them.
 * Throws where git knows no repository at `gitDir` or it has too few.
 */
export function realEdits(gitDir: string, n: number, folder: string): RealEdit[] {
  const git = (...args: string[]) =>
    execFileSync("git", ["-C", gitDir, ...args], { encoding: "utf8", maxBuffer: 1 << 30 });
  const commits = git("rev-list", "--first-parent", "--no-merges", `--max-count=${MAX_COMMITS}`, "HEAD").split("\n");
  const edits: RealEdit[] = [];
  let oldest = "";
  for (const commit of commits.filter(Boolean)) {
    const edit = editOf(git, commit);
    if (!edit) continue;
    edits.push(edit);
    oldest = commit;
    if (edits.length === n) break;
  }
  if (edits.length < n) throw new Error(`${gitDir} has ${edits.length} fitting edits of ${n}`);
  mkdirSync(folder, { recursive: true });
  const files = execFileSync("git", ["-C", gitDir, "archive", `${oldest}^`], { maxBuffer: 1 << 30 });
  execFileSync("tar", ["-x", "-C", folder], { input: files });
  return edits;
}

/** The first addition of a commit that looks typed; undefined where it has none. */
function editOf(git: (...args: string[]) => string, commit: string): RealEdit | undefined {
  const diff = git("show", "--format=", "--unified=0", "--diff-filter=M", "--no-renames", "--no-ext-diff", commit);
  let path = "";
  for (const part of diff.split(/^(?=\+\+\+ |@@ )/m)) {
    if (part.startsWith("+++ ")) path = part.slice("+++ b/".length).split("\n")[0];
    const hunk = /^@@ -\d+(?:,0) \+(\d+)(?:,(\d+))? @@.*\n/.exec(part);
    const nLines = Number(hunk?.[2] ?? 1);
    if (!hunk || !CODE.test(path) || nLines < LINES.min || nLines > LINES.max) continue;
    const after = git("show", `${commit}:${path}`);
    if (after.length > MAX_FILE_CHARS || after.includes("\r")) continue;
    const lines = after.split("\n");
    const first = Number(hunk[1]) - 1;
    const typed = lines.slice(first, first + nLines).join("\n");
    const before = lines.slice(0, first).map((line) => `${line}\n`);
    const offset = before.join("").length;
    return { path, text: after.slice(0, offset) + after.slice(offset + typed.length), offset, typed };
  }
  return undefined;
}

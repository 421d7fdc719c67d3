/** The listing of a folder against git's own, over generated trees with generated ignore files. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { listFiles } from "../../../engine/workspace/files.ts";

const skip = spawnSync("git", ["--version"]).status === 0 ? false : "git is not installed";

let base: string;
let root: string;
before(() => {
  base = mkdtempSync(join(tmpdir(), "longsight-ignore-"));
  root = join(base, "repository");
  // Neither the user's settings nor the machine's may take part.
  process.env.GIT_CONFIG_GLOBAL = join(base, "gitconfig");
  process.env.GIT_CONFIG_NOSYSTEM = "1";
  writeFileSync(process.env.GIT_CONFIG_GLOBAL, `[core]\n\texcludesFile = ${join(base, "excludes")}\n`);
});
after(() => rmSync(base, { recursive: true, force: true }));

const NAMES = ["a", "b", "c", "ab", "dist", "x.js", "y.js", ".env", "é", "à", "a b", "#h", "!n", "[k]"];
const name = fc.constantFrom(...NAMES);
const filePath = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));

const glob = fc.constantFrom(
  ...["*", "**", "*.js", "a*", "?", "[ab]", "[!a]", "*b*", "\\#h", "\\!n", "\\[k\\]", "x.*", "[a-c]", "{a,b}", "d?st"],
);
const piece = fc.oneof({ weight: 3, arbitrary: name }, { weight: 2, arbitrary: glob });
const pattern = fc
  .tuple(
    fc.constantFrom("", "", "", "!", "!"),
    fc.constantFrom("", "", "/", "**/"),
    fc.array(piece, { minLength: 1, maxLength: 3 }),
    fc.constantFrom("", "", "/", "/**", "/*", " ", "\r"),
  )
  .map(([negation, start, pieces, end]) => negation + start + pieces.join("/") + end);
const ignoreFile = fc
  .array(fc.oneof({ weight: 8, arbitrary: pattern }, { weight: 1, arbitrary: fc.constantFrom("", "# a", "!", "/") }), {
    minLength: 1,
    maxLength: 5,
  })
  .map((lines) => `${lines.join("\n")}\n`);

interface Tree {
  readonly files: readonly string[];
  readonly ignoreFiles: readonly (readonly [string, string])[];
  readonly exclude: string;
  readonly userExcludes: string;
}

const tree: fc.Arbitrary<Tree> = fc.record({
  files: fc.array(filePath, { minLength: 3, maxLength: 25 }),
  ignoreFiles: fc.array(
    fc.tuple(
      fc.oneof(
        fc.constant(".gitignore"),
        filePath.map((path) => `${path}/.gitignore`),
      ),
      ignoreFile,
    ),
    { minLength: 1, maxLength: 4 },
  ),
  exclude: fc.oneof(fc.constant(""), ignoreFile),
  userExcludes: fc.oneof(fc.constant(""), ignoreFile),
});

/** Writes what of a tree can lie beside each other: a path that is taken as a file cannot be a folder. */
function writeTree({ files, ignoreFiles, exclude, userExcludes }: Tree): void {
  rmSync(root, { recursive: true, force: true });
  mkdirSync(join(root, ".git", "info"), { recursive: true });
  for (const folder of ["objects", "refs"]) mkdirSync(join(root, ".git", folder));
  writeFileSync(join(root, ".git", "HEAD"), "ref: refs/heads/main\n");
  writeFileSync(join(root, ".git", "config"), "[core]\n\trepositoryformatversion = 0\n\tbare = false\n");
  writeFileSync(join(root, ".git", "info", "exclude"), exclude);
  writeFileSync(join(base, "excludes"), userExcludes);
  for (const [path, text] of [...ignoreFiles, ...files.map((path) => [path, path] as const)]) {
    try {
      mkdirSync(join(root, dirname(path)), { recursive: true });
      writeFileSync(join(root, path), text);
    } catch {
      // Taken.
    }
  }
}

async function listed(folder: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const file of listFiles(folder)) paths.push(file.path);
  return paths.sort();
}

function listedByGit(folder: string): string[] {
  const output = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "-z"], {
    cwd: folder,
    encoding: "utf8",
  });
  return output.split("\0").filter(Boolean).sort();
}

test("a folder is listed as git lists it", { skip }, async () => {
  await fc.assert(
    fc.asyncProperty(tree, async (generated) => {
      writeTree(generated);
      assert.deepEqual(await listed(root), listedByGit(root));
    }),
    { numRuns: 80 },
  );
});

test("a folder below the repository's root obeys the rules above it", { skip }, async () => {
  await fc.assert(
    fc.asyncProperty(tree, name, async (generated, folder) => {
      writeTree({ ...generated, files: [...generated.files, `${folder}/keep/x.js`, `${folder}/x.js`] });
      // What is opened itself is shown, even where git ignores it.
      const ignored = spawnSync("git", ["check-ignore", "-q", folder], { cwd: root }).status === 0;
      fc.pre(!ignored);
      let expected: string[];
      try {
        expected = listedByGit(join(root, folder));
      } catch {
        return fc.pre(false);
      }
      assert.deepEqual(await listed(join(root, folder)), expected);
    }),
    { numRuns: 30 },
  );
});

/** The measurements themselves, over repositories small enough to know the answer. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { LongsightError } from "../../../engine/errors.ts";
import { bag, baselineWords, bm25 } from "../../eval/bm25.ts";
import { readCases } from "../../eval/cases.ts";
import { evaluateFirstSource } from "../../eval/first-source.ts";
import { firstRank, metrics } from "../../eval/metrics.ts";
import { evaluateNotFound } from "../../eval/not-found.ts";
import { isNonTestSource, isSource } from "../../eval/pool.ts";
import { evaluateRetrieval } from "../../eval/retrieval.ts";

const skip = spawnSync("git", ["--version"]).status === 0 ? false : "git is not installed";

function scratch(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "longsight-eval-test-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test("ranks and their means", () => {
  assert.equal(firstRank(["a", "b", "c"], ["c", "b"]), 2);
  assert.equal(firstRank(["a"], ["b"]), Number.POSITIVE_INFINITY);
  assert.deepEqual(metrics([1, 2, 6, Number.POSITIVE_INFINITY]), {
    ...{ hit1: 0.25, hit5: 0.5, hit10: 0.75 },
    mrr: (1 + 1 / 2 + 1 / 6) / 4,
  });
  assert.deepEqual(metrics([]), { hit1: 0, hit5: 0, hit10: 0, mrr: 0 });
});

test("the baseline's words and scores", () => {
  assert.deepEqual(baselineWords("getUserNames cached_files HTTPServer a"), [
    ...["get", "user", "nam", "getusernam"],
    ...["cach", "fil", "cached_fil"],
    ...["http", "server", "httpserver"],
  ]);
  const bags = [bag("a", "zebra zebra"), bag("b", "zebra horse")];
  const [first, second] = bm25("zebra", bags);
  const idf = Math.log(1 + 0.5 / 2.5);
  // One-letter paths are no words: both are two words long, the mean.
  assert.ok(Math.abs(first - (idf * 2 * 2.2) / (2 + 1.2)) < 1e-12);
  assert.ok(Math.abs(second - (idf * 2.2) / (1 + 1.2)) < 1e-12);
  const [twice] = bm25("zebra zebra", bags);
  assert.equal(twice, 2 * first);
});

test("the pool of changes has no tests, types or documents", () => {
  const paths = ["src/a.ts", "src/a.test.ts", "src/a.d.ts", "tests/a.py", "docs/conf.py", "pkg/a_test.go", "README.md"];
  assert.deepEqual(paths.filter(isNonTestSource), ["src/a.ts"]);
  assert.equal(paths.filter(isSource).length, 6);
});

test("cases that are none are named with their line", (t) => {
  const file = join(scratch(t), "cases.jsonl");
  const good = '{"repo":"a/b","commit":"0123456","question":"Where?","gold":["a.ts"]}';
  const wrong: [string, RegExp][] = [
    ["", /holds no cases; give/],
    [`${good}\n{`, /:2 is not JSON; give/],
    ['{"repo":"a/b"}', /:1 is no case; it needs/],
    ['{"repo":"../b","commit":"0123456","question":"Where?","gold":["a.ts"]}', /is no case/],
    ['{"repo":"a/b","commit":"--all","question":"Where?","gold":["a.ts"]}', /is no case/],
    ['{"repo":"a/b","commit":"0123456","question":"Where?","gold":[]}', /is no case/],
  ];
  for (const [text, sentence] of wrong) {
    writeFileSync(file, text);
    assert.throws(
      () => readCases(file),
      (error: unknown) => error instanceof LongsightError && sentence.test(error.message),
    );
  }
  writeFileSync(file, `${good}\n\n`);
  assert.deepEqual(
    readCases(file).map(({ kind, commit }) => [kind, commit]),
    [["question", "0123456"]],
  );
});

/** A bare repository "o/name" below `repos` with a commit for each tree, and the commits' ids. */
function makeRepository(context: TestContext, repos: string, name: string, trees: Record<string, string>[]): string[] {
  const work = scratch(context);
  const git = (...args: string[]) =>
    execFileSync(
      "git",
      ["-C", work, "-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false", ...args],
      { encoding: "utf8" },
    ).trim();
  git("init", "-q");
  const commits = trees.map((files) => {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(work, path)), { recursive: true });
      writeFileSync(join(work, path), text);
    }
    git("add", "-A");
    git("commit", "-q", "-m", "x");
    return git("rev-parse", "HEAD");
  });
  mkdirSync(join(repos, `o+${name}`), { recursive: true });
  execFileSync("git", ["clone", "-q", "--bare", work, join(repos, `o+${name}`, "repo")]);
  return commits;
}

const DOOR =
  "/** Opens the door with the brass key of the house. */\nexport function openDoor(key) {\n  turn(key);\n  push(door);\n}\n";
const ZOO =
  '"""Feeds the animals of the zoo: zebras, lions and the old elephant."""\n\ndef feed_animals(animals):\n    for animal in animals:\n        animal.eat(hay)\n';

test("files are ranked at each case's commit, and what is missing is said", { skip }, async (t) => {
  const repos = scratch(t);
  const [first, second] = makeRepository(t, repos, "house", [
    { "src/door.ts": DOOR, "src/window.ts": "export const glass = 1;\n", "test/door.test.ts": DOOR },
    { "src/gate.ts": DOOR.replaceAll("oor", "oor2"), "src/door.ts": "export const moved = 1;\n" },
  ]);
  const cases = join(repos, "cases.jsonl");
  const rows = [
    { repo: "o/house", parent: first, query: "fix: the brass key opens the door", gold: ["src/door.ts"] },
    { repo: "o/house", parent: second, query: "fix: the brass key opens the door", gold: ["src/gate.ts"] },
    { repo: "o/gone", parent: first, query: "anything", gold: ["a.ts"] },
    { repo: "o/house", parent: "0".repeat(40), query: "anything", gold: ["a.ts"] },
  ];
  writeFileSync(cases, rows.map((row) => JSON.stringify(row)).join("\n"));
  const said: string[] = [];
  const { n, skipped, rankers } = await evaluateRetrieval({ cases, repos, warn: (sentence) => said.push(sentence) });
  assert.deepEqual([n, skipped], [2, 2]);
  for (const ranker of Object.values(rankers)) assert.deepEqual(ranker, { hit1: 1, hit5: 1, hit10: 1, mrr: 1 });
  assert.match(said.join("\n"), /1 of 4 cases left out: .*o\+gone.* does not exist\./);
  assert.match(said.join("\n"), /1 of 4 cases left out: o\/house has no commit 0{40}/);
});

test("questions are asked of their own repository and of the others", { skip }, async (t) => {
  const repos = scratch(t);
  const other = (i: number) => `export function step${i}() {\n  return ${i} + walk(${i});\n}\n`;
  const rest = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`src/step${i}.ts`, other(i)]));
  const [house] = makeRepository(t, repos, "house", [{ "src/door.ts": DOOR, ...rest }]);
  const [zoo] = makeRepository(t, repos, "zoo", [{ "zoo/feed_animals.py": ZOO, ...rest }]);
  const cases = join(repos, "cases.jsonl");
  const rows = [
    {
      repo: "o/house",
      commit: house,
      question: "Which function opens the door with the brass key?",
      gold: ["src/door.ts"],
    },
    {
      repo: "o/zoo",
      commit: zoo,
      question: "Where are the animals of the zoo fed, such as the elephant?",
      gold: ["zoo/feed_animals.py"],
    },
  ];
  writeFileSync(cases, rows.map((row) => JSON.stringify(row)).join("\n"));
  const warn = (sentence: string) => assert.fail(sentence);
  assert.deepEqual(await evaluateNotFound({ cases: [cases], repos, warn }), {
    nRepos: 2,
    own: { n: 2, found: 1 },
    other: { n: 2, notFound: 1 },
    accuracy: 1,
  });
  await assert.rejects(
    evaluateNotFound({ cases: [cases], repos, limit: 1, warn }),
    /two repositories .* are needed; add/,
  );
});

test("the first source is counted with the pointer and without", { skip }, async (t) => {
  const repos = scratch(t);
  const other = (i: number) => `export function step${i}() {\n  return ${i} + walk(${i});\n}\n`;
  const rest = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`src/step${i}.ts`, other(i)]));
  const [house] = makeRepository(t, repos, "house", [{ "src/door.ts": DOOR, ...rest }]);
  const cases = join(repos, "cases.jsonl");
  const about = (question: string, gold: string) => ({ repo: "o/house", commit: house, question, gold: [gold] });
  const rows = [
    about("Which function opens the door with the brass key?", "src/door.ts"),
    about("Where is the door of the house opened by its key?", "src/step1.ts"),
    about("Who photographs giraffes under an umbrella?", "src/step2.ts"),
    { repo: "o/gone", commit: house, question: "Where is it?", gold: ["a.ts"] },
  ];
  writeFileSync(cases, rows.map((row) => JSON.stringify(row)).join("\n"));
  const said: string[] = [];
  const warn = (sentence: string) => said.push(sentence);
  const figures = await evaluateFirstSource({ cases: [cases], repos, warn });
  const value = (name: string) => figures.find((row) => row.name === name)?.value;
  assert.deepEqual(
    ["questions asked", "of them something was found for"].map((name) => value(name)),
    [3, 2],
  );
  for (const by of ["the pointer", "the search alone"]) assert.equal(value(`first source right, by ${by}`), 50);
  for (const by of ["pointer", "search"]) assert.equal(value(`right by the ${by} only`), 0);
  assert.match(said.join("\n"), /^o\/gone is left out: .* does not exist\.$/);
  const [first] = await evaluateFirstSource({ cases: [cases], repos, limit: 1, warn });
  assert.equal(first.value, 1);
});

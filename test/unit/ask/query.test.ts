import assert from "node:assert/strict";
import { test } from "node:test";
import { contentTerms, parseQuery } from "../../../engine/ask/query.ts";
import { LongsightError } from "../../../engine/errors.ts";

test("words that say nothing are left out, the others are split and stemmed", () => {
  assert.deepEqual(contentTerms("Where is the router's path matching done?"), ["router", "path", "match"]);
  assert.deepEqual(contentTerms("Why doesn’t it re-parse what they've sent?"), ["re", "pars", "sent"]);
});

test("the first line counts twice", () => {
  assert.deepEqual(parseQuery("parse headers\n\nheaders of requests").terms, [
    ...["pars", "header", "pars", "header"],
    ...["header", "request"],
  ]);
});

test("names written as code are identifiers, plain words are not", () => {
  const { identifiers } = parseQuery(
    "Does getUserName or `match` call snake_case, __init__ or TrieRouter on HTTP paths?",
  );
  assert.deepEqual(identifiers, ["match", "getUserName", "snake_case", "__init__", "TrieRouter"]);
});

test("paths and file names are told from words", () => {
  assert.deepEqual(parseQuery("see ./src/Router.ts and csrf.go there.").paths, ["src/router.ts", "csrf.go"]);
});

test("a leading scope is read from both kinds of subject; a type of commit is none", () => {
  assert.deepEqual(parseQuery("fix(csrf): exempt OPTIONS").scope, ["csrf"]);
  assert.deepEqual(parseQuery("feat(jwt-auth)!: rotate keys").scope, ["jwt", "auth"]);
  assert.deepEqual(parseQuery("caddyhttp: drop a header").scope, ["caddyhttp"]);
  assert.deepEqual(parseQuery("fix: drop a header").scope, []);
});

test("the kinds of side files a question speaks of", () => {
  assert.deepEqual(parseQuery("which tests use the router").mentions, { tests: true, docs: false, examples: false });
  assert.deepEqual(parseQuery("router in the README and the demo").mentions, {
    tests: false,
    docs: true,
    examples: true,
  });
});

test("an empty question and one of empty words get a sentence each", () => {
  for (const [question, sentence] of [
    ["", /is empty; ask/],
    [" \n\t ", /is empty; ask/],
    ["What is it, and why?", /names nothing to look for; mention/],
    ["???", /names nothing to look for; mention/],
  ] as const) {
    assert.throws(
      () => parseQuery(question),
      (error: unknown) => error instanceof LongsightError && error.code === "bad-input" && sentence.test(error.message),
    );
  }
});

test("a question of 100,000 characters of any kind is read in bounded terms", () => {
  const words = Array.from({ length: 20_000 }, (_, i) => `word${i}`).join(" ");
  assert.ok(parseQuery(words).terms.length <= 256);
  assert.ok(parseQuery(Array.from({ length: 20_000 }, (_, i) => `aB${i}`).join(" ")).identifiers.length <= 256);
  for (const piece of ["a", "a/", "a.", "-", "`", "`a ", "_", "aB", "\ud800", "feat(", "[1]", "中"]) {
    parseQuery(`router ${piece.repeat(100_000 / piece.length)}`);
  }
});

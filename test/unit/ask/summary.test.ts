import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { commentsIn, proseOf, sentencesOf } from "../../../engine/ask/comments.ts";
import { parseQuery } from "../../../engine/ask/query.ts";
import { retrieve } from "../../../engine/ask/retrieve.ts";
import { summarise } from "../../../engine/ask/summary.ts";
import { indexed, SERVER } from "./indexed.ts";

test("prose of comments in every style, without what addresses tools", () => {
  const cases: [string, string][] = [
    ["/**\n * Splits a path.\n * @param path of a file\n *   below the root\n */", "Splits a path."],
    ['"""Splits.\n\n:param path: a file\n   below the root\n\nThen joins."""', "Splits.\n\n\nThen joins."],
    ["#: Splits a path.\n#: .. versionadded:: 1.0", "Splits a path."],
    ["/// Splits.\n//! Joins.", "Splits.\nJoins."],
    ["# Splits a path.\n# noqa: E501", "Splits a path."],
    ['"""Splits a path.\n\nThen joins it."""', "Splits a path.\n\nThen joins it."],
    ["-- Splits a path.", "Splits a path."],
    ["// eslint-disable-next-line\n// Splits a path.", "Splits a path."],
    ["", ""],
  ];
  for (const [comment, prose] of cases) assert.equal(proseOf(comment), prose);
});

test("comments of code: what only looks like one is none", () => {
  const cases: [string, string, string][] = [
    ["a.ts", "#root = 1;\nrun(); // at the end\n// one\n\n  // two\n", "// one\n\n  // two"],
    ["a.ts", "/* one\n two */\nrun();\n* 3;\n/** three */\n", "/* one\n two */\n\n\n/** three */"],
    ["a.c", "#include <a.h>\n// one\n# two\n", "// one"],
    ["a.rs", "#[derive(Debug)]\n/// one\nstruct S;\n", "/// one"],
    [
      "a.py",
      '# one\nx = """two"""\ndef f():\n    """Three\n    four."""\n    return 5\n',
      '# one\n\n\n    """Three\n    four."""',
    ],
    ["Makefile", "# one\nall: #two\n#three\n", "# one"],
  ];
  for (const [path, code, comments] of cases) assert.equal(commentsIn(path, code), comments);
});

test("links and roles of documentation tools are read as what they name", () => {
  const prose =
    "Stored by {@link Store.put the store}, :class:`~flask.Session` and ``sign`` of [the signer](https://a.b/c).";
  assert.deepEqual(sentencesOf(prose), ["Stored by Store.put, `flask.Session` and `sign` of the signer."]);
});

test("what is no sentence for a reader is left out", () => {
  for (const text of [
    "See https://example.org for all of it.",
    "TODO: split it at the slashes",
    "`latency` | The same, but in milliseconds",
    "It takes the following options:",
  ]) {
    assert.deepEqual(sentencesOf(text), []);
  }
});

test("sentences: lists, headings and code blocks do not run into each other", () => {
  const prose =
    "Splits a path at its slashes. Empty parts are\ndropped here.\n\n- keeps the first part\n- keeps the last part\n```\nconst a = split(b);\n```\nToo short.\n";
  assert.deepEqual(sentencesOf(prose), [
    "Splits a path at its slashes.",
    "Empty parts are dropped here.",
    "keeps the first part",
    "keeps the last part",
  ]);
  assert.deepEqual(sentencesOf("if (a) { return b => c; }\nfoo.bar(baz).qux(1, 2, 3);"), []);
});

async function summaryOf(context: TestContext, question: string, files = SERVER): Promise<string> {
  const { evidence, spans } = retrieve(parseQuery(question), await indexed(context, files));
  return summarise(
    evidence,
    spans.map(({ span }) => ({ span, signature: span.symbol && `${span.symbol}()` })),
  );
}

test("the summary quotes the sentence that answers, with the mark of its place", async (t) => {
  assert.match(
    await summaryOf(t, "how are expired sessions removed"),
    /Removes every session whose deadline has passed\. \[\d\]/,
  );
  assert.match(
    await summaryOf(t, "what does csrf compare the origin with"),
    /^[^[]*Origin header with the host of the request\. \[1\]/,
  );
});

test("every sentence of a summary has a mark, and there are at most three", async (t) => {
  const summary = await summaryOf(t, "route path match slashes handlers session request");
  assert.match(summary, /^(?:[^[\]]+ \[\d+\](?: |$)){1,3}$/);
});

test("without a comment to quote the summary points to the best place", async (t) => {
  const files = {
    "door.ts": "export function openDoor(key) {\n  turn(key);\n  push();\n}\n",
    "test/door.test.ts": "// Opens the door with openDoor and checks it.\nopenDoor(key);\n",
  };
  assert.equal(await summaryOf(t, "openDoor", files), "The best match is `openDoor()` in door.ts. [1]");
  assert.equal(
    await summaryOf(t, "yellow submarine", { "a.txt": "yellow = submarine\n" }),
    "The best match is in a.txt. [1]",
  );
});

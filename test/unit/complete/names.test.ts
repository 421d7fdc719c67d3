import assert from "node:assert/strict";
import { test } from "node:test";
import { NameIndex } from "../../../engine/complete/name-index.ts";
import { Names } from "../../../engine/complete/names.ts";
import { bytesTokenizer } from "./bytes-tokenizer.ts";

/** One token a byte: a token is the next letter. */
const tokenizer = bytesTokenizer([]);

function propose(prefix: string, { suffix = "", text = "", files = [] as string[] } = {}) {
  const index = new NameIndex();
  for (const [n, content] of files.entries()) index.set(`${n}.ts`, content);
  const proposal = new Names(tokenizer, { path: "open.ts", prefix, suffix }, index).propose(text);
  if (!proposal) return undefined;
  const letters = Object.fromEntries([...proposal.tokens].map(([id, p]) => [tokenizer.decode([id]), p]));
  return { share: proposal.share, letters, best: tokenizer.decode([...proposal.ids]) };
}

test("a word that is begun goes on like a name of the open file, the nearest first", () => {
  const near = propose("request = 1\nresponse = 2\nprint(re");
  assert.equal(near?.best, "sponse");
  assert.ok(near.letters.s > near.letters.q);
  assert.ok(Math.abs(near.letters.s + near.letters.q - 1) < 1e-9);
  // Behind the cursor counts as well.
  assert.equal(propose("print(re", { suffix: ")\nrequest = 1" })?.best, "quest");
  // What was generated belongs to the word.
  assert.equal(propose("request = 1\nresponse = 2\nprint(", { text: "req" })?.best, "uest");
});

test("the repository's names are for words that the open file does not have, the most frequent first", () => {
  const files = ["parseAll parseOne", "parseOne"];
  assert.equal(propose("x = par", { files })?.best, "seOne");
  assert.equal(propose("partial = 1\nx = par", { files })?.best, "tial");
});

test("a name that is complete is trusted less to go on", () => {
  const open = propose("teardown_request\nx = tear");
  const whole = propose("teardown\nteardown_request\nx = teardown");
  assert.ok(open && whole && whole.share < 0.6 * open.share, `${whole?.share} ${open?.share}`);
});

test("nothing is proposed where no word is begun, none is known, or the word goes on behind the cursor", () => {
  assert.equal(propose("request = 1\nprint("), undefined);
  assert.equal(propose("request = 1\nx = 12"), undefined);
  assert.equal(propose("request = 1\nprint(zzz"), undefined);
  assert.equal(propose("request = 1\nprint(re", { suffix: "sult)" }), undefined);
  // The next word is another one.
  assert.equal(propose("request = 1\nprint(re", { suffix: "sult)", text: "(re" })?.best, "quest");
});

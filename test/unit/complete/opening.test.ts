import assert from "node:assert/strict";
import { test } from "node:test";
import { completeAt } from "../../../engine/complete/complete.ts";
import { beginningOf, bytesBehind, likeliestBeginning, NO_PIECE, openingOf } from "../../../engine/complete/opening.ts";
import { openHybrid } from "../../../engine/models/hybrid.ts";
import { loadTokenizerFolder } from "../../../engine/models/tokenizer/folder.ts";
import type { Tokenizer } from "../../../engine/models/types.ts";
import { defaultModelDir } from "../../../engine/paths.ts";
import { HybridDecoder } from "../../../engine/runtime/hybrid.ts";
import { HybridReader } from "../../../engine/runtime/hybrid-reader.ts";

const tokenizer = loadTokenizerFolder(defaultModelDir);
const opened = (prefix: string) => openingOf(tokenizer, tokenizer.encode(`\n${prefix}`), prefix);
const utf8 = (text: string) => new TextEncoder().encode(text);

test("the last piece is taken back where a token may go on from it", () => {
  const pieces: [string, string][] = [
    ["x = resp", " resp"],
    ["x = ", " "],
    ["def f():\n    retu", "retu"],
    ["def f():\n    ", ""],
    ["print(", "("],
    ["a +", " +"],
    ["self.get_so", "_so"],
    ["self.get_", "_"],
    ["self.__in", "in"],
    ["größ", "größ"],
    ["x = 12", ""],
    ["", ""],
    ["/".repeat(80), ""],
    // Its tokens are single bytes.
    [`# ${"\u6587".repeat(29)}`, ""],
  ];
  for (const [prefix, piece] of pieces) {
    const { bytes, piece: ids } = opened(prefix);
    assert.equal(new TextDecoder().decode(bytes), piece, JSON.stringify(prefix));
    assert.equal(tokenizer.decode([...ids]), piece);
  }
});

test("a text begins with the token that stands for it and the piece, and what it adds is the text's beginning", () => {
  for (const [prefix, rest] of [
    ["x = resp", "onse.text"],
    ["x = ", "return_value"],
    ["f(", ")"],
    ["f(", "x)"],
    ["x = 12", "34"],
    ["größ", "er"],
  ]) {
    const opening = opened(prefix);
    const beginning = beginningOf(tokenizer, opening, rest);
    assert.ok(beginning);
    const added = new TextDecoder().decode(bytesBehind(tokenizer, opening, beginning));
    assert.ok(added !== "" && rest.startsWith(added), `${prefix} + ${rest}: ${added}`);
  }
  // " response" is one token, so nothing of " resp" is kept.
  assert.equal(beginningOf(tokenizer, opened("x = resp"), "onse")?.nKept, 0);
  assert.equal(beginningOf(tokenizer, opened("f("), "x")?.nKept, 1);
  assert.equal(beginningOf(tokenizer, opened("f("), ""), undefined);
});

/** A tokenizer whose texts are "ab" and what follows. */
const WORDS = ["a", "b", "ab", "abc", "abcd", "x", "bc"];
const words: Tokenizer = {
  vocabSize: WORDS.length,
  bosId: undefined,
  stopIds: [],
  encode: (text) => {
    const ids: number[] = [];
    for (let at = 0; at < text.length; at += WORDS[ids[ids.length - 1]].length) {
      const fitting = WORDS.filter((word) => text.startsWith(word, at)).sort((a, b) => b.length - a.length);
      ids.push(WORDS.indexOf(fitting[0]));
    }
    return ids;
  },
  bytes: (id) => utf8(WORDS[id]),
  decode: (ids) => ids.map((id) => WORDS[id]).join(""),
  id: (token) => WORDS.indexOf(token),
};
const logitsOf = (p: readonly number[]) => Float32Array.from(p, (share) => Math.log(share));

test("beginnings are as likely as the texts they stand for, proposals mixed in", () => {
  const opening = { piece: [2], bytes: utf8("ab") };
  const rows = [logitsOf([0.1, 0.1, 0.4, 0.15, 0.05, 0.1, 0.1]), logitsOf([0.05, 0.05, 0.05, 0.05, 0.1, 0.6, 0.1])];
  // "ab" and then any token, "abc" and "abcd": of those the piece's own token is not a way of its own.
  const sum = 0.4 + 0.15 + 0.05;
  const alone = likeliestBeginning(words, opening, rows, []);
  assert.deepEqual([alone.nKept, alone.id], [1, 5]);
  assert.ok(Math.abs(alone.probability - (0.4 * 0.6) / sum) < 1e-6);
  const texts = new Map([
    ["c", 0.75],
    ["x", 0.25],
  ]);
  const proposal = { share: 0.8, texts, tokens: new Map<number, number>(), ids: [] };
  const withText = likeliestBeginning(words, opening, rows, [proposal]);
  assert.deepEqual([withText.nKept, withText.id], [0, 3]);
  assert.ok(Math.abs(withText.probability - (0.2 * (0.15 / sum) + 0.8 * 0.75)) < 1e-6);
});

test("where nothing is taken back, the beginning is the likeliest token", () => {
  const rows = [logitsOf([0.1, 0.1, 0.4, 0.15, 0.05, 0.1, 0.1])];
  const { nKept, id, probability } = likeliestBeginning(words, NO_PIECE, rows, []);
  assert.deepEqual([nKept, id], [0, 2]);
  assert.ok(Math.abs(probability - 0.4) < 1e-6);
});

test("the default model finishes words that it knows", async () => {
  const decoder = await HybridDecoder.open(openHybrid(defaultModelDir), { nThreads: 1 });
  for (const [prefix, rest] of [
    ["def add(first, second):\n    retu", "rn"],
    ["import os\n\nfor name in os.listdir(folder):\n    pri", "nt"],
    ["import os\n\nclass Shape:\n    def __in", "it__"],
  ]) {
    const context = { path: "src/shapes.py", prefix, suffix: "\n" };
    const { text } = await completeAt(new HybridReader(decoder), tokenizer, context, { maxTokens: 8, copies: false });
    assert.ok(text.startsWith(rest), `${prefix} + ${text}`);
  }
  // Sentences without spaces, in which each character is several tokens.
  for (const n of [10, 13, 20, 40]) {
    const context = { path: "src/shapes.py", prefix: `import os\n# ${"\u6587".repeat(n)}`, suffix: "\n" };
    const { confidence } = await completeAt(new HybridReader(decoder), tokenizer, context, { maxTokens: 8 });
    assert.ok(confidence >= 0 && confidence <= 1, `${confidence}`);
  }
  await decoder.close();
});

/** Pre-tokenisation and the patterns it is made of. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fromOniguruma } from "../../../../engine/models/tokenizer/regex.ts";
import { isKnown, namedSplit, splitAt } from "../../../../engine/models/tokenizer/split.ts";
import { normalizerSteps, preTokenizerSteps } from "../../../../engine/models/tokenizer/steps.ts";
import { defaultModelDir } from "../../../../engine/paths.ts";

const matches = (pattern: string, text: string): string[] => text.match(fromOniguruma(pattern)) ?? [];

test("the named splits", () => {
  const text = "It's x  = 12345;\n\n  y";
  assert.deepEqual(namedSplit("gpt-2")(text), ["It", "'s", " x", " ", " =", " 12345", ";", "\n\n ", " y"]);
  assert.deepEqual(namedSplit("llama-bpe")(text), ["It", "'s", " x", " ", " =", " ", "123", "45", ";\n\n", " ", " y"]);
  assert.deepEqual(namedSplit("qwen2")("a 12"), ["a", " ", "1", "2"]);
  assert.deepEqual(namedSplit("starcoder")("a 12b"), ["a", " ", "1", "2", "b"]);
  assert.deepEqual(namedSplit("deepseek-coder")("a\n b12 中 +"), ["a", "\n", " b", "1", "2", " ", "中", " +"]);
  assert.throws(() => namedSplit("made-up"), { code: "unsupported", message: /made-up/ });
});

test("the ways to split", () => {
  const behaviors = (behavior: Parameters<typeof splitAt>[1], invert = false) =>
    splitAt(/-/gu, behavior, invert)("a--b-");
  assert.deepEqual(behaviors("Isolated"), ["a", "-", "-", "b", "-"]);
  assert.deepEqual(behaviors("Removed"), ["a", "b"]);
  assert.deepEqual(behaviors("Removed", true), ["-", "-", "-"]);
  assert.deepEqual(behaviors("MergedWithPrevious"), ["a-", "-", "b-"]);
  assert.deepEqual(behaviors("MergedWithNext"), ["a", "-", "-b", "-"]);
  assert.deepEqual(behaviors("Contiguous"), ["a", "--", "b", "-"]);
  assert.deepEqual(splitAt(/x*/gu)("ab"), ["a", "b"]);
  assert.deepEqual(splitAt(/b/gu)(""), []);
});

test("a tokenizer.json's steps in sequence", () => {
  const { split, byteLevel } = preTokenizerSteps({
    type: "Sequence",
    pretokenizers: [
      { type: "Split", pattern: { String: "." }, behavior: "MergedWithPrevious", invert: false },
      { type: "Digits", individual_digits: true },
      { type: "ByteLevel", add_prefix_space: false, use_regex: false },
    ],
  });
  assert.equal(byteLevel, true);
  assert.deepEqual(split("a.b12.c"), ["a.", "b", "1", "2", ".", "c"]);
  assert.deepEqual(preTokenizerSteps({ type: "Metaspace" }).split("▁a▁▁b"), ["▁a", "▁", "▁b"]);
});

test("steps that are not known are named", () => {
  assert.throws(() => preTokenizerSteps({ type: "BertPreTokenizer" }), {
    code: "unsupported",
    message: /BertPreTokenizer/,
  });
  assert.throws(() => preTokenizerSteps({ type: "Split", pattern: { Regex: "a" }, behavior: "Sideways" }), {
    code: "bad-model",
    message: /Sideways/,
  });
  assert.throws(() => preTokenizerSteps({ type: "Split", pattern: { Regex: "(?>a)" }, behavior: "Isolated" }), {
    code: "unsupported",
    message: /\(\?>a\)/,
  });
});

test("white space, digits and words mean what Unicode says", () => {
  assert.deepEqual(matches("\\s", "\u0085\ufeff\u00a0"), ["\u0085", "\u00a0"]);
  assert.deepEqual(matches("[^\\s]", "\u0085\ufeff"), ["\ufeff"]);
  assert.deepEqual(matches("\\d+", "12٣"), ["12٣"]);
  assert.deepEqual(matches("\\w+", "naïve_1 x"), ["naïve_1", "x"]);
});

test("lines, escapes and code points", () => {
  assert.deepEqual(matches("^.", "ab\r\ncd"), ["a", "c"]);
  assert.deepEqual(matches(".$", "ab\ncd"), ["b", "d"]);
  assert.deepEqual(matches(".", "\r\u2028"), ["\r", "\u2028"]);
  assert.deepEqual(matches("\\'\\#[\\-\\'a]", "'#-"), ["'#-"]);
  assert.deepEqual(matches("\\x{1F600}|\\u00e9|\\x41", "😀éA"), ["😀", "é", "A"]);
  assert.deepEqual(matches("(?i:'s)|a(?!b)", "'S ab a"), ["'S", "a"]);
  assert.deepEqual(matches("\\A.|.\\z", "abc"), ["a", "c"]);
});

test("patterns that JavaScript would read differently are refused", () => {
  for (const pattern of [
    "a++",
    "(?>a)",
    "(?i)a",
    "[a&&b]",
    "[[:alpha:]]",
    "\\bx",
    "\\R",
    "(a)\\1",
    "[]a]",
    "(",
    "a{,3}",
    "\\",
  ]) {
    assert.throws(() => fromOniguruma(pattern), { code: "unsupported" }, pattern);
  }
});

test("patterns of a file that backtrack without end, or lengthen a text without bounds, end in an error", () => {
  const split = preTokenizerSteps({ type: "Split", pattern: { Regex: "(a+)+b" }, behavior: "Isolated" }).split;
  assert.deepEqual(split("aab aa"), ["aab", " aa"]);
  assert.throws(() => split("a".repeat(50)), { code: "bad-model", message: /one of its patterns does not end/ });
  const replace = (from: string, content: string) => ({ type: "Replace", pattern: { String: from }, content });
  assert.throws(() => normalizerSteps(replace("a", "b".repeat(17))), { code: "unsupported" });
  const growing = Array.from({ length: 9 }, () => replace("a", "aaaaaaaa"));
  const { normalize } = normalizerSteps({ type: "Sequence", normalizers: growing });
  assert.throws(() => normalize?.("a".repeat(1000)), { code: "bad-model", message: /lets texts grow/ });
});

test("the shipped model's pattern is known, so that no text of it has to be timed", () => {
  const { pre_tokenizer } = JSON.parse(readFileSync(join(defaultModelDir, "tokenizer.json"), "utf8"));
  const pattern = pre_tokenizer.pretokenizers.find(({ type }: { type: string }) => type === "Split").pattern.Regex;
  assert.ok(isKnown(fromOniguruma(pattern)));
  assert.ok(!isKnown(fromOniguruma(`${pattern}|x`)));
});

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  aroundOffset,
  aroundPosition,
  leadingLines,
  lineEnding,
  trailingLines,
  withPlainLineEnds,
} from "../../../engine/complete/context.ts";
import { bytesTokenizer } from "./bytes-tokenizer.ts";

const tokenizer = bytesTokenizer([]);

test("a place in a file is found by offset, or by line and column", () => {
  const text = "one\r\ntwo\nthree";
  assert.deepEqual(aroundOffset(text, 3), { prefix: "one", suffix: "\r\ntwo\nthree" });
  assert.deepEqual(aroundOffset(text, text.length), { prefix: text, suffix: "" });
  assert.deepEqual(aroundOffset("", 0), { prefix: "", suffix: "" });
  assert.deepEqual(aroundPosition(text, 1, 4), { prefix: "one", suffix: "\r\ntwo\nthree" });
  assert.deepEqual(aroundPosition(text, 3, 6), { prefix: text, suffix: "" });
  assert.deepEqual(aroundPosition("", 1, 1), { prefix: "", suffix: "" });
});

test("a place outside the file is refused", () => {
  for (const offset of [-1, 15, 1.5, Number.NaN]) {
    assert.throws(() => aroundOffset("one\r\ntwo\nthree".slice(0, 14), offset), { code: "bad-input" });
  }
  for (const [line, column] of [
    [0, 1],
    [4, 1],
    [1, 0],
    [1, 5],
    [3, 7],
    [1.5, 1],
    [1, Number.NaN],
  ]) {
    assert.throws(() => aroundPosition("one\r\ntwo\nthree", line, column), { code: "bad-input" });
  }
});

test("line endings are taken from the text and put aside for the model", () => {
  const path = "";
  assert.equal(lineEnding({ path, prefix: "a\r\nb", suffix: "\n" }), "\r\n");
  assert.equal(lineEnding({ path, prefix: "ab", suffix: "c\r\nd" }), "\r\n");
  assert.equal(lineEnding({ path, prefix: "a\nb\r\n", suffix: "" }), "\n");
  assert.equal(lineEnding({ path, prefix: "", suffix: "" }), "\n");
  assert.deepEqual(withPlainLineEnds({ path, prefix: "a\r\nb\r", suffix: "\nc\r\n" }), {
    path,
    prefix: "a\nb",
    suffix: "\nc\n",
  });
});

test("a suffix keeps its first whole lines", () => {
  assert.equal(leadingLines(tokenizer, "1234\n6789\n1234\n", 5), "1234\n6789");
  assert.equal(leadingLines(tokenizer, "1234\n", 20), "1234\n");
  assert.equal(leadingLines(tokenizer, "", 20), "");
  assert.equal(leadingLines(tokenizer, "x".repeat(10_000), 10).length, 160);
});

test("a long prefix begins at a line that stays while it grows", () => {
  const lines = Array.from({ length: 100 }, (_, i) => `line ${i}`);
  const starts = new Set<string>();
  for (let n = 41; n <= 56; n++) {
    const text = lines.slice(0, n).join("\n");
    const kept = trailingLines(tokenizer, text, 230);
    assert.ok(text.endsWith(kept));
    assert.ok(tokenizer.encode(`\n${kept}`).length <= 230);
    starts.add(kept.split("\n")[0]);
  }
  assert.deepEqual([...starts], ["line 16", "line 32"]);
});

test("a prefix that fits is whole; a last line that does not fit is cut", () => {
  assert.equal(trailingLines(tokenizer, "", 10), "");
  assert.equal(trailingLines(tokenizer, "a\nb", 10), "a\nb");
  assert.equal(trailingLines(tokenizer, "first\nsecond", 8), "second");
  const cut = trailingLines(tokenizer, `a\n${"x".repeat(1000)}y`, 10);
  assert.match(cut, /^x+y$/);
  assert.ok(cut.length < 10);
});

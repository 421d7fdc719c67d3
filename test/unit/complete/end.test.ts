import assert from "node:assert/strict";
import { test } from "node:test";
import { allowsLines, completionEnd, LineLikelihood, withoutSuffixOverlap } from "../../../engine/complete/end.ts";

/** The completion as it would be cut while the text streams in, character by character. */
function cut(prefix: string, suffix: string, text: string): string {
  for (let length = 1; length <= text.length; length++) {
    const end = completionEnd(prefix, suffix, text.slice(0, length));
    if (end !== undefined) return text.slice(0, end);
  }
  return text;
}

test("code behind the cursor keeps the completion on its line", () => {
  assert.equal(allowsLines("if (", ") return;\n"), false);
  assert.equal(cut("const a = ", " + 1;\n", "b\nconst c = 2;\n"), "b");
});

test("closers behind the cursor do not", () => {
  assert.equal(allowsLines("call({", "})\n"), true);
});

test("a statement ends with its line", () => {
  assert.equal(cut("  const total = ", "\n", "a + b;\r\n  return total;\r\n"), "a + b;");
});

test("a call that is closed on its own line ends there", () => {
  assert.equal(cut("const a = call(", "\n", "b, c(d));\nconst e = 1;\n"), "b, c(d));");
  assert.equal(cut("const a = call(", ")\n", "\n  b,\n)\nconst e = 1;\n"), "\n  b,\n)");
});

test("a block ends with its closing bracket", () => {
  const body = "\n    return a + b;\n  }\n\n  next() {\n";
  assert.equal(cut("class A {\n  sum(a, b) {", "\n", body), "\n    return a + b;\n  }");
});

test("a Python block ends before the next statement of its outer level", () => {
  const body = "\n        x = 1\n\n        return x\n    def other(self):\n";
  assert.equal(cut("class A:\n    def f(self):", "\n", body), "\n        x = 1\n\n        return x");
});

test("on a blank line the completion stays at its level", () => {
  assert.equal(cut("def f():\n    ", "\n", "x = 1\n    return x\n\ndef g():\n"), "x = 1\n    return x");
});

test("a block that never closes is cut", () => {
  assert.equal(cut("f() {", "\n", "\n  x();".repeat(100)).split("\n").length, 16);
});

test("what stands behind the cursor is not said again", () => {
  assert.equal(withoutSuffixOverlap("a, b)", ");\n"), "a, b");
  assert.equal(withoutSuffixOverlap("a, b);", ");\n"), "a, b");
  assert.equal(withoutSuffixOverlap("a\n", "\n"), "a\n");
});

test("a line that is a mere guess is the last, a blank one never", () => {
  const pushed = (tokens: readonly [string, number][]) => {
    const likelihood = new LineLikelihood();
    let text = "";
    for (const [token, probability] of tokens) {
      const before = text;
      text += token;
      const end = likelihood.add(before, text, probability);
      if (end !== undefined) return { text: text.slice(0, end), first: likelihood.first };
    }
    return { text, first: likelihood.first };
  };
  const sure = pushed([["\n  ", 0.01], ["a = ", 0.9], ["b;", 0.8], ["\n  c;", 0.9]]); // biome-ignore format: one row
  assert.equal(sure.text, "\n  a = b;\n  c;");
  assert.ok(Math.abs(sure.first - 0.72) < 1e-9);
  const likely = pushed([["a = ", 0.9], ["b;", 0.8], ["\n", 0.9], ["c", 0.1], ["d", 0.1], ["\n", 1], ["e", 1]]); // biome-ignore format: one row
  assert.equal(likely.text, "a = b;\ncd");
  assert.ok(Math.abs(likely.first - 0.72) < 1e-9);
  assert.ok(Math.abs(pushed([["half", 0.5], [" a line", 0.5]]).first - 0.25) < 1e-9); // biome-ignore format: one row
});

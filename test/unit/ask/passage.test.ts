import assert from "node:assert/strict";
import { test } from "node:test";
import { narrow } from "../../../engine/ask/passage.ts";
import type { StoredSpan } from "../../../engine/memory/catalogue-types.ts";

function span(lines: readonly string[], startLine = 101): StoredSpan {
  const place = { id: 1, file: "a.ts", startLine, endLine: startLine + lines.length - 1 };
  return { ...place, symbol: null, kind: null, container: null, text: lines.join("\n"), docText: "" };
}

const filler = (count: number) => Array.from({ length: count }, (_, i) => `step${i}();`);
const idf = new Map([
  ["zebra", 4],
  ["unicorn", 4],
]);

test("a short span stays whole, without blank lines at its ends", () => {
  assert.deepEqual(narrow(span(["", "zebra();", "", "run();", " "]), idf), {
    file: "a.ts",
    startLine: 102,
    endLine: 104,
    text: "zebra();\n\nrun();",
  });
});

test("a long span is cut to the window with the most of the question's words", () => {
  const lines = [...filler(30), "zebra();", ...filler(8), "unicorn();", ...filler(30)];
  const passage = narrow(span(lines), idf);
  assert.equal(passage.endLine - passage.startLine, 31);
  assert.ok(passage.text.includes("zebra") && passage.text.includes("unicorn"));
  assert.equal(passage.text, lines.slice(passage.startLine - 101, passage.endLine - 100).join("\n"));
});

test("without a reason to look elsewhere a span keeps its head", () => {
  assert.equal(narrow(span(filler(100)), idf).startLine, 101);
  assert.equal(narrow(span(["/** Of a zebra. */", ...filler(60), "zebra();"]), idf).startLine, 101);
});

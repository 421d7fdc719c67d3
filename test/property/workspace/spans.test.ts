/** Laws of cutting files: every line is in a span, spans are the file's own lines, whatever the text. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { packageRoot } from "../../../engine/paths.ts";
import { cutFile } from "../../../engine/workspace/spans.ts";

async function assertLaws(path: string, text: string): Promise<void> {
  const { spans, symbols, nLines } = await cutFile(path, text);
  const lines = text.split("\n");
  let covered = 0;
  for (const span of spans) {
    assert.ok(span.startLine >= 1 && span.startLine <= span.endLine && span.endLine <= nLines);
    assert.ok(span.startLine <= covered + 1, `line ${covered + 1} of ${path} is in no span`);
    assert.ok(span.endLine > covered, "a span adds lines");
    covered = span.endLine;
    assert.equal(span.text, lines.slice(span.startLine - 1, span.endLine).join("\n"));
    assert.ok(span.endLine - span.startLine < 60, "a span stays within its limit");
    if (span.doc) assert.ok(span.doc.startLine >= span.startLine && span.doc.endLine <= span.endLine);
  }
  assert.equal(covered, nLines);
  for (const { startLine, endLine } of symbols) assert.ok(startLine >= 1 && startLine <= endLine && endLine <= nLines);
}

/** Lines that mean something in several languages, put together without any sense. */
const LINES = [
  "function f(a) {",
  "  return a;",
  "}",
  "class A {",
  "  method() {}",
  "};",
  "def g(x):",
  '    """Says what g does.',
  "    pass",
  "// comment",
  "/* open",
  "   close */",
  "# Heading",
  "## Sub",
  "===",
  "```",
  "",
  "  ",
  "const K = 1, L = 2;",
  "struct S { int a; };",
  "end",
  "@decorator",
  "<?php",
  "[section]",
  "key = value",
  "x".repeat(500),
  "é漢字🙂",
];
const EXTENSIONS = ["ts", "tsx", "js", "py", "rb", "rs", "go", "cpp", "cs", "java", "php", "css", "sh", "ps1"];
const OTHERS = ["ini", "regex", "md", "txt", "json"];

test("every line of any text is in a span", async () => {
  const lines = fc.array(fc.constantFrom(...LINES), { maxLength: 300 }).map((parts) => parts.join("\n"));
  const text = fc.oneof({ weight: 4, arbitrary: lines }, fc.string({ unit: "binary", maxLength: 2000 }));
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...EXTENSIONS, ...OTHERS), text, (extension, content) =>
      assertLaws(`a.${extension}`, content),
    ),
    { numRuns: 150 },
  );
});

test("every line of this project's own sources is in a span", async () => {
  for (const file of readdirSync(join(packageRoot, "engine"), { recursive: true, encoding: "utf8" })) {
    if (!/\.(?:ts|py|md)$/.test(file)) continue;
    await assertLaws(file, readFileSync(join(packageRoot, "engine", file), "utf8"));
  }
});

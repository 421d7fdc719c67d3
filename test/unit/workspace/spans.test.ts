import assert from "node:assert/strict";
import { test } from "node:test";
import { cutFile } from "../../../engine/workspace/spans.ts";

async function cut(path: string, text: string) {
  const { spans } = await cutFile(path, text);
  return spans.map(({ startLine, endLine, kind, symbol }) => `${startLine}-${endLine} ${kind} ${symbol}`);
}

const statements = (count: number, indent = "  ") =>
  Array.from({ length: count }, (_, i) => `${indent}call(${i});`).join("\n");

test("a symbol goes with its doc comment", async () => {
  const text =
    "import a from 'a';\n\n/** Doc of f. */\nexport function f() {\n  return 1;\n}\n\n// Doc of g.\nfunction g() {\n  return 2;\n}\n";
  const { spans } = await cutFile("a.ts", text);
  assert.deepEqual(await cut("a.ts", text), ["1-2 null null", "3-7 function f", "8-11 function g"]);
  assert.deepEqual(spans[1].doc, { startLine: 3, endLine: 3 });
  assert.deepEqual(spans[1].names, ["f"]);
});

test("small neighbours are put together, functions only when they are tiny", async () => {
  const text = "const A = 1;\nconst B = 2;\n\ntype T = string;\nconst f = () => 1;\nfunction g() {\n  return 1;\n}\n";
  assert.deepEqual(await cut("a.ts", text), ["1-5 null null", "6-8 function g"]);
  const { spans } = await cutFile("a.ts", text);
  assert.deepEqual(spans[0].names, ["A", "B", "T", "f"]);
});

test("a long class gives its methods, and what lies between them is the class's", async () => {
  const method = (name: string) => `  ${name}() {\n${statements(20, "    ")}\n  }\n`;
  const text = `class A {\n  field = 1;\n  other = 2;\n\n${["one", "two", "three"].map(method).join("\n")}}\n`;
  assert.deepEqual(await cut("a.ts", text), [
    "1-4 class A",
    "5-27 method one",
    "28-50 method two",
    "51-73 method three",
  ]);
  const { spans } = await cutFile("a.ts", text);
  assert.deepEqual([spans[1].container, spans[1].names], ["A", ["one", "A"]]);
});

test("a long function is cut between statements", async () => {
  const block = `  if (x) {\n${statements(35, "    ")}\n  }\n`;
  const text = `function f() {\n${block}${block}${block}}\n`;
  assert.deepEqual(await cut("a.ts", text), ["1-38 function f", "39-75 function f", "76-113 function f"]);
});

test("text is cut between paragraphs, and overlaps where there are none", async () => {
  const paragraph = Array.from({ length: 25 }, (_, i) => `line ${i}`).join("\n");
  assert.deepEqual(await cut("a.txt", `${paragraph}\n\n${paragraph}\n\n${paragraph}\n`), [
    "1-52 null null",
    "53-77 null null",
  ]);
  const lines = Array.from({ length: 100 }, (_, i) => `line ${i}`).join("\n");
  assert.deepEqual(await cut("a.txt", lines), ["1-60 null null", "56-100 null null"]);
});

test("Markdown is cut by headings, and a fence hides them", async () => {
  const body = "Text.\n\nMore.\n\nAnd more.\n";
  const text = `Title\n=====\n\n${body}\n## One\n\n${body}\n\`\`\`sh\n# no heading\n\`\`\`\n\n### Deep ##\n\n${body}`;
  assert.deepEqual(await cut("a.md", text), ["1-9 section Title", "10-21 section One", "22-28 section Deep"]);
  const { symbols } = await cutFile("a.md", text);
  assert.deepEqual(
    symbols.map(({ name, container }) => [name, container]),
    [
      ["Title", null],
      ["One", "Title"],
      ["Deep", "One"],
    ],
  );
});

test("empty text has no spans, and one long line is one span", async () => {
  assert.deepEqual(await cut("a.ts", ""), []);
  assert.deepEqual(await cut("a.txt", "\n\n"), ["1-2 null null"]);
  assert.deepEqual(await cut("a.json", "x".repeat(100_000)), ["1-1 null null"]);
});

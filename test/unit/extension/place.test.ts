import assert from "node:assert/strict";
import { test } from "node:test";
import type * as vscode from "vscode";
import { editor, Position } from "../../editor.ts";
import { TextDocument } from "../../text-document.ts";

editor();
const { cursorText } = await import("../../../extension/completion/place.ts");

const documentOf = (text: string) => new TextDocument(text, "long.ts", "untitled");
const around = (document: TextDocument, position: Position, selected?: vscode.SelectedCompletionInfo) =>
  cursorText(document as unknown as vscode.TextDocument, position as vscode.Position, selected);

test("a short document is sent as it is", () => {
  const document = documentOf("one\ntwo\nthree\n");
  const { prefix, suffix, startLine } = around(document, new Position(1, 2));
  assert.deepEqual([prefix, suffix, startLine], ["one\ntw", "o\nthree\n", 1]);
});

test("what the suggest widget has selected counts as typed", () => {
  const document = documentOf("a.len = 1\n");
  const range = { start: new Position(0, 2), end: new Position(0, 5) } as vscode.Range;
  const place = around(document, new Position(0, 5), { range, text: "length" });
  assert.deepEqual([place.prefix, place.suffix], ["a.length", " = 1\n"]);
});

test("of a file of 50 MB only the surroundings of the cursor are read, from a line's start on", () => {
  const line = `${"x".repeat(48)};\n`;
  const text = line.repeat(1_000_000);
  const document = documentOf(text);
  const at = 25_000_017;
  const { prefix, suffix, startLine } = around(document, document.positionAt(at));
  assert.ok(document.nRead < 60_000, `${document.nRead}`);
  const start = at - prefix.length;
  assert.equal(text.slice(start, at), prefix);
  assert.ok(prefix.length > 15_000 && prefix.length <= 24_000);
  assert.equal(text[start - 1], "\n");
  assert.equal(startLine, start / line.length + 1);
  assert.ok(text.startsWith(suffix, at) && suffix.length === 6000);
});

test("typing leaves the start where it is, until the next step of the grid", () => {
  const text = "word = another + word;\n".repeat(4000);
  const document = documentOf(text);
  const starts = Array.from({ length: 40 }, (_, i) => around(document, document.positionAt(50_000 + i)).startLine);
  assert.equal(new Set(starts).size, 1);
});

test("a single line without end is cut where the grid is", () => {
  const document = documentOf("x".repeat(100_000));
  const { prefix, startLine } = around(document, document.positionAt(90_000));
  assert.equal(startLine, 1);
  assert.ok(prefix.length > 15_000 && prefix.length <= 24_000);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type * as vscode from "vscode";
import { editor } from "./vscode.ts";

editor();
const { cursorText } = await import("../../../extension/completion/place.ts");
const { Position } = await import("vscode");

/** A document that is only ever asked for parts of itself. */
function documentOf(text: string) {
  const breaks = [...text.matchAll(/\n/g)].map(({ index }) => index + 1);
  const starts = [0, ...breaks];
  const offsetAt = ({ line, character }: vscode.Position) => starts[line] + character;
  const positionAt = (offset: number) => {
    const at = Math.min(Math.max(0, offset), text.length);
    let [low, high] = [0, starts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (starts[middle] <= at) low = middle;
      else high = middle;
    }
    return new Position(low, at - starts[low]);
  };
  let nRead = 0;
  const document = {
    uri: { scheme: "untitled", path: "long.ts" },
    offsetAt,
    positionAt,
    getText: (range: vscode.Range) => {
      const part = text.slice(offsetAt(range.start), offsetAt(range.end));
      nRead += part.length;
      return part;
    },
  };
  return { document: document as unknown as vscode.TextDocument, positionAt, nRead: () => nRead };
}

test("a short document is sent as it is", () => {
  const { document } = documentOf("one\ntwo\nthree\n");
  const { prefix, suffix, startLine } = cursorText(document, new Position(1, 2));
  assert.deepEqual([prefix, suffix, startLine], ["one\ntw", "o\nthree\n", 1]);
});

test("what the suggest widget has selected counts as typed", () => {
  const { document } = documentOf("a.len = 1\n");
  const range = { start: new Position(0, 2), end: new Position(0, 5) } as vscode.Range;
  const around = cursorText(document, new Position(0, 5), { range, text: "length" });
  assert.deepEqual([around.prefix, around.suffix], ["a.length", " = 1\n"]);
});

test("of a file of 50 MB only the surroundings of the cursor are read, from a line's start on", () => {
  const line = `${"x".repeat(48)};\n`;
  const text = line.repeat(1_000_000);
  const { document, positionAt, nRead } = documentOf(text);
  const at = 25_000_017;
  const { prefix, suffix, startLine } = cursorText(document, positionAt(at));
  assert.ok(nRead() < 60_000, `${nRead()}`);
  const start = at - prefix.length;
  assert.equal(text.slice(start, at), prefix);
  assert.ok(prefix.length > 15_000 && prefix.length <= 24_000);
  assert.equal(text[start - 1], "\n");
  assert.equal(startLine, start / line.length + 1);
  assert.ok(text.startsWith(suffix, at) && suffix.length === 6000);
});

test("typing leaves the start where it is, until the next step of the grid", () => {
  const text = "word = another + word;\n".repeat(4000);
  const { document, positionAt } = documentOf(text);
  const starts = Array.from({ length: 40 }, (_, i) => cursorText(document, positionAt(50_000 + i)).startLine);
  assert.equal(new Set(starts).size, 1);
});

test("a single line without end is cut where the grid is", () => {
  const { document, positionAt } = documentOf("x".repeat(100_000));
  const { prefix, startLine } = cursorText(document, positionAt(90_000));
  assert.equal(startLine, 1);
  assert.ok(prefix.length > 15_000 && prefix.length <= 24_000);
});

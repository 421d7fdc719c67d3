/** Cuts a span down to the lines that answer: a citation is a few lines, never a whole file. */
import type { StoredSpan } from "../memory/catalogue-types.ts";
import { termsOf } from "../memory/terms.ts";

export interface Passage {
  readonly file: string;
  /** From 1, both included. */
  readonly startLine: number;
  readonly endLine: number;
  readonly text: string;
}

/** Lines a citation may have. */
const MAX_LINES = 32;
/** What a line is worth by itself, so that of two windows with the same words the one with more code around wins. */
const LINE_WORTH = 0.01;
/** The first lines of a span hold its doc comment and signature: a window there starts with this much credit. */
const HEAD_CREDIT = 0.5;

/** The window of at most MAX_LINES lines of a span whose distinct words tell most; a short span whole. */
export function narrow(span: StoredSpan, idf: ReadonlyMap<string, number>): Passage {
  const lines = span.text.split("\n");
  if (lines.length <= MAX_LINES) return passage(span, lines, 0, lines.length);
  const terms = lines.map((line) => new Set(termsOf(line).filter((term) => idf.has(term))));
  const mostTelling = Math.max(...idf.values());
  let best = { start: 0, worth: Number.NEGATIVE_INFINITY };
  for (let start = 0; start + MAX_LINES <= lines.length; start++) {
    const inside = new Set<string>();
    let worth = start === 0 ? HEAD_CREDIT * mostTelling : 0;
    for (let line = start; line < start + MAX_LINES; line++) {
      for (const term of terms[line]) {
        // Repeats count a little: a line that says it again is more likely the place.
        worth += idf.get(term)! * (inside.has(term) ? 0.1 : 1);
        inside.add(term);
      }
      if (lines[line].trim() !== "") worth += LINE_WORTH;
    }
    if (worth > best.worth) best = { start, worth };
  }
  return passage(span, lines, best.start, best.start + MAX_LINES);
}

/** The lines [start, end) of a span, blank ones at both ends left out. */
function passage(span: StoredSpan, lines: readonly string[], start: number, end: number): Passage {
  let [first, last] = [start, end - 1];
  while (first < last && lines[first].trim() === "") first++;
  while (last > first && lines[last].trim() === "") last--;
  return {
    file: span.file,
    startLine: span.startLine + first,
    endLine: span.startLine + last,
    text: lines.slice(first, last + 1).join("\n"),
  };
}

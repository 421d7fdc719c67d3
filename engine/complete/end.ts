/**
 * Where a completion ends. A model does not know how much the user wants: one line where code follows on the same line,
 * a block where the cursor opens one, never the code that already stands behind the cursor.
 */

import { type LineAt, NEXT_BLOCK, type SyntaxEnd } from "./syntax-end.ts";

/** A block longer than this is cut: more is rarely right, and never quick. */
const MAX_LINES = 16;

/**
 * A line less likely than this is the last: of 630 lines that followed a wrong one, in repositories no model was trained
 * on, 33 were right, and of 132 first lines that were less likely than twice this, 2.
 */
const MIN_LINE_PROBABILITY = 0.05;

/** What may follow the cursor on its line without forbidding a completion of several lines: closers the editor put there. */
const CLOSERS = /^[\s)\]}>'"`;,]*$/;
const OPENS_BLOCK = /[{([:]\s*$|=>\s*$|\b(?:do|then|else)\s*$/;

const indentOf = (line: string) => line.length - line.trimStart().length;

/** Brackets opened less brackets closed; those in strings count too. */
const bracketDepth = (text: string) => (text.match(/[{([]/g)?.length ?? 0) - (text.match(/[)\]}]/g)?.length ?? 0);

/** Whether the completion may run over several lines, seen from the text on both sides of the cursor. */
export function allowsLines(prefix: string, suffix: string): boolean {
  const before = prefix.slice(prefix.lastIndexOf("\n") + 1);
  const after = /^[^\r\n]*/.exec(suffix)?.[0] ?? "";
  return CLOSERS.test(after) && (before.trim() === "" || OPENS_BLOCK.test(before));
}

/**
 * The length of `text` that belongs to the completion, or undefined while more may come: up to the first line break, or,
 * for several lines, as far as the block that the cursor is in goes, by its syntax where that is known.
 */
export function completionEnd(prefix: string, suffix: string, text: string, syntax?: SyntaxEnd): number | undefined {
  const firstBreak = text.search(/\r?\n/);
  if (firstBreak < 0) return undefined;
  if (!allowsLines(prefix, suffix)) return firstBreak;
  const layout = (lineAt?: LineAt) => layoutEnd(prefix, text, firstBreak, lineAt);
  if (!syntax) return layout();
  return syntax.of(text, layout, text.split("\n").length > MAX_LINES);
}

/**
 * The end by brackets on the first line and by the other lines' indentation: before the line that leaves the block, or
 * behind MAX_LINES.
 */
function layoutEnd(prefix: string, text: string, firstBreak: number, lineAt?: LineAt): number | undefined {
  const cursorLine = prefix.slice(prefix.lastIndexOf("\n") + 1);
  // Inside a block just opened the body is deeper than the line that opens it; on a blank line it is as deep.
  const opens = cursorLine.trim() !== "";
  // What the cursor's line has opened is closed again on the same line.
  if (opens && !lineAt && bracketDepth(text.slice(0, firstBreak)) < 0) return firstBreak;
  const indent = indentOf(cursorLine);
  let end = 0;
  let lines = 0;
  for (const { 0: whole, 1: line, 2: lineBreak, index } of text.matchAll(/([^\r\n]*)(\r?\n|$)/g)) {
    const complete = lineBreak !== "";
    const isBlank = line.trim() === "";
    let isComment = false;
    if (lines > 0 && !isBlank) {
      const closes = opens && indentOf(line) === indent && /^[)\]}]/.test(line.trim());
      if (indentOf(line) < indent || (opens && indentOf(line) <= indent && !closes)) {
        const where = lineAt?.(index) ?? "outside";
        if (where === "outside") return end;
        isComment = where === "comment";
      } else if (closes && complete) {
        const closer = line.search(/\S/) + 1;
        return index + (NEXT_BLOCK.test(line.slice(closer)) ? closer : line.length);
      }
    }
    if (!complete) return undefined;
    // Blank lines and comments belong to what follows them.
    if (!isBlank && !isComment) end = index + line.length;
    if (++lines === MAX_LINES) return end;
    if (whole.length === 0) break;
  }
  return undefined;
}

/** How likely the lines of a completion are right as a whole: the product of their tokens' probabilities. */
export class LineLikelihood {
  #line = 1;
  #first: number | undefined;

  /** Of the first line with some content, as far as it goes. */
  get first(): number {
    return this.#first ?? this.#line;
  }

  /**
   * Takes up a token that made `text` of `before`. Where it ends a line that is a mere guess, so that what follows would
   * be none better, the length of the text up to there.
   */
  add(before: string, text: string, probability: number): number | undefined {
    const lineEnd = text.indexOf("\n", before.length);
    if (lineEnd < 0) {
      this.#line *= probability;
      return undefined;
    }
    const line = this.#line;
    this.#line = 1;
    if (before.slice(before.lastIndexOf("\n") + 1).trim() === "") return undefined;
    this.#first ??= line;
    return line < MIN_LINE_PROBABILITY ? lineEnd : undefined;
  }
}

/** Removes from the completion's end what already stands behind the cursor: its longest overlap, if not mere white space. */
export function withoutSuffixOverlap(text: string, suffix: string): string {
  for (let length = Math.min(text.length, suffix.length); length > 0; length--) {
    const overlap = suffix.slice(0, length);
    if (overlap.trim() !== "" && text.endsWith(overlap)) return text.slice(0, -length);
  }
  return text;
}

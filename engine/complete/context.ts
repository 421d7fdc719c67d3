/** The text around the cursor, brought into the form and the length a model wants. */
import { LongsightError } from "../errors.ts";
import type { Tokenizer } from "../models/types.ts";

/** The text on both sides of the cursor. */
export interface CursorContext {
  /** The file's path relative to the repository root, with "/". */
  readonly path: string;
  /** The editor's name of the language, for texts whose path does not tell it: notebooks' cells, new texts. */
  readonly languageId?: string;
  readonly prefix: string;
  readonly suffix: string;
  /** The file's line that `prefix` begins on, from 1: 1 where left out. */
  readonly startLine?: number;
}

/** Where the kept part of a long prefix may begin: every so many lines, so that typing seldom moves it. */
const LINE_GRID = 16;

/** No token stands for more characters than this on average; text further away is not even looked at. */
const MAX_TOKEN_CHARS = 16;

/** Splits a file's text at a UTF-16 offset; throws bad-input where it lies outside the text. */
export function aroundOffset(text: string, offset: number): Pick<CursorContext, "prefix" | "suffix"> {
  if (!Number.isInteger(offset) || offset < 0 || offset > text.length) {
    throw new LongsightError(
      "bad-input",
      `Offset ${offset} lies outside the file's ${text.length} characters; give a place inside it.`,
    );
  }
  return { prefix: text.slice(0, offset), suffix: text.slice(offset) };
}

/** Splits a file's text at a line and column, both from 1; throws bad-input where the file has no such place. */
export function aroundPosition(text: string, line: number, column: number): Pick<CursorContext, "prefix" | "suffix"> {
  const lines = text.split("\n");
  const content = lines[line - 1]?.replace(/\r$/, "");
  if (content === undefined) {
    throw new LongsightError(
      "bad-input",
      `The file has ${lines.length} lines, there is no line ${line}; give a line from 1 on.`,
    );
  }
  if (!Number.isInteger(column) || column < 1 || column > content.length + 1) {
    throw new LongsightError(
      "bad-input",
      `Line ${line} has no column ${column}; give one from 1 to ${content.length + 1}.`,
    );
  }
  const before = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
  return aroundOffset(text, before + column - 1);
}

/** The file's own line ending: that of its first line. */
export function lineEnding({ prefix, suffix }: CursorContext): "\r\n" | "\n" {
  return /\r?\n/.exec(prefix + suffix.slice(0, suffix.indexOf("\n") + 1))?.[0] === "\r\n" ? "\r\n" : "\n";
}

/** The same place with "\n" for every line ending, as models were trained. */
export function withPlainLineEnds(context: CursorContext): CursorContext {
  // A cursor between "\r" and "\n" is a cursor before both.
  const prefix = context.suffix.startsWith("\n") ? context.prefix.replace(/\r$/, "") : context.prefix;
  return { ...context, prefix: prefix.replaceAll("\r\n", "\n"), suffix: context.suffix.replaceAll("\r\n", "\n") };
}

/** The suffix's first whole lines, about `nTokens` tokens or a little more. */
export function leadingLines(tokenizer: Tokenizer, text: string, nTokens: number): string {
  const lines = text.slice(0, nTokens * MAX_TOKEN_CHARS).split("\n");
  let count = 0;
  const end = lines.findIndex((line) => {
    count += tokenizer.encode(`${line}\n`).length;
    return count > nTokens;
  });
  return end < 0 ? lines.join("\n") : lines.slice(0, end + 1).join("\n");
}

/**
 * The end of a prefix, at most `nTokens` tokens, from a line start that stays the same while text is appended. A last
 * line that is too long itself is cut.
 */
export function trailingLines(tokenizer: Tokenizer, text: string, nTokens: number): string {
  const cut = Math.max(text.length - nTokens * MAX_TOKEN_CHARS, 0);
  const lines = text.slice(cut).split("\n");
  // The line that the cut went through is no whole line.
  const first = cut > 0 ? 1 : 0;
  const nBefore = cut > 0 ? text.slice(0, cut).split("\n").length - 1 : 0;
  let count = 0;
  let start = lines.length;
  let stableStart: number | undefined;
  while (start > first) {
    count += tokenizer.encode(`\n${lines[start - 1]}`).length;
    if (count > nTokens) break;
    start--;
    if ((nBefore + start) % LINE_GRID === 0) stableStart = start;
  }
  if (start < lines.length) return lines.slice(stableStart ?? start).join("\n");
  let line = lines[lines.length - 1];
  while (tokenizer.encode(`\n${line}`).length > nTokens) line = line.slice(Math.ceil(line.length / 2));
  return line;
}

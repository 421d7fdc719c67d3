/** The prose in code: comments and documentation without their markers, cut into sentences. */
import { languageOf } from "../workspace/languages.ts";

const MARKER = /^\s*(?:\/\*\*?|\*\/|\*(?!\*)|\/\/[/!]?|#+[!:]?(?=\s|$)|--(?=\s)|;;+|%+(?=\s)|[rRuU]?(?:"""|'''))\s?/;
const CLOSING = /\s*(?:\*\/|"""|''')\s*$/;
/** Tags and fields of documentation tools. */
const FIELD = /^\s*(?:@|:\w+|\.\.\s)/;
/** Directives address tools, not readers. */
const TOOL_LINE = /^\s*(?:eslint|prettier|biome|ts-|noqa|type:|pragma|SPDX|Copyright|\+build|go:|!\/|-\*-)/i;
/** How a comment line starts where the language is not known. */
const COMMENT_LINE = /^\s*(?:\/\/|(?:#|--|;)\s)/;
const ATTRIBUTE = /^\s*#!?\[/;
/** A comment that may go on over further lines, and its end. */
const BLOCK_COMMENT = [/^\s*\/\*/, /\*\//] as const;
const DOCSTRING = [/^\s*[rRuU]?(?:"""|''')/, /(?:"""|''')\s*$/] as const;

/** Code that was commented out, addresses, notes of authors to themselves, what only leads over to a list. */
const NO_PROSE = /[;{}:]\s*$|=>|:=|\)\s*\{|https?:\/\/|\s\|\s|^(?:TODO|FIXME|XXX|HACK|NOTE\()/;
/** Sentences of fewer words than this say too little, longer ones too much. */
const MIN_WORDS = 4;
const MAX_CHARS = 320;

/** Links and roles of documentation tools, down to what they name: {@link Router}, :class:`~flask.Flask`, ``code``. */
const ROLES: readonly (readonly [RegExp, string])[] = [
  [/\{@\w+\s+([^{}\s|]+)[^{}]*\}/g, "$1"],
  [/:[a-z]+(?::[a-z]+)?:`(?:[^`<]*<)?[~!]?([^`>]+)>?`/g, "`$1`"],
  [/(?<!`)``([^`\n]+)``(?!`)/g, "`$1`"],
  [/\[([^\][]+)\]\((?:[^()\s]+)\)/g, "$1"],
];

/** The prose of a doc comment as written in a file. */
export function proseOf(comment: string): string {
  let isField = false;
  return comment
    .split("\n")
    .map((line) => line.replace(MARKER, "").replace(CLOSING, ""))
    .filter((line) => {
      // What describes a parameter goes on to the next blank line.
      isField = FIELD.test(line) || (isField && line.trim() !== "");
      return !isField && !TOOL_LINE.test(line);
    })
    .join("\n")
    .trim();
}

/** The comments in a piece of a file as written, a blank line between those that do not belong together. */
export function commentsIn(path: string, code: string): string {
  const language = languageOf(path);
  const lineComment = language ? language.lineComment : COMMENT_LINE;
  const [opens, closes] = language?.name === "python" ? DOCSTRING : BLOCK_COMMENT;
  let isOpen = false;
  const comments = code.split("\n").map((line) => {
    const isStart = !isOpen && opens.test(line);
    if (!isOpen && !isStart) return lineComment?.test(line) && !ATTRIBUTE.test(line) ? line : "";
    isOpen = !closes.test(isStart ? line.replace(opens, "") : line);
    return line;
  });
  return comments.join("\n").trim();
}

/** The sentences of prose: paragraphs, list items and code blocks do not run into each other. */
export function sentencesOf(prose: string): string[] {
  return ROLES.reduce((text, [role, name]) => text.replace(role, name), prose)
    .replace(/^(```|~~~)[\s\S]*?(?:^\1|$(?![\s\S]))/gm, "\n\n")
    .split(/\n\s*\n|\n(?=\s*(?:[-*+•]|\d+[.)])\s)|\n(?=#)/)
    .flatMap((block) =>
      block
        .replace(/^\s*(?:[-*+•]|\d+[.)]|#+)\s+/, "")
        .replace(/\s+/g, " ")
        .trim()
        .split(/(?<=[.!?])\s+(?=[\p{Lu}`"'([])/u),
    )
    .map((sentence) => sentence.trim())
    .filter((sentence) => isProse(sentence));
}

function isProse(sentence: string): boolean {
  if (sentence.length > MAX_CHARS || sentence.split(" ").length < MIN_WORDS) return false;
  const letters = sentence.match(/[\p{L}\s]/gu)?.length ?? 0;
  return letters / sentence.length > 0.75 && !NO_PROSE.test(sentence);
}

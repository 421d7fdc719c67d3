/**
 * Where the syntax says that a completion of several lines ends: with the block or statement that the cursor stands in.
 * Text that is still being written never parses as a whole, so only what is sure is believed: a node that has been
 * closed, a node that something follows, the tokens. For the rest the lines' indentation decides (end.ts).
 */
import { Edit, type Node, type Parser, type Tree } from "web-tree-sitter";
import { grammarAtHand } from "../workspace/grammars.ts";
import { type Language, languageOf } from "../workspace/languages.ts";

/** So much text before the cursor is parsed, in characters: 1 to 2 ms. What is appended then takes 0.1 ms a line. */
const WINDOW_CHARS = 8_000;
/** Parsing that takes longer than this, in ms, is given up, and indentation decides alone: 50 times what code takes. */
const LIMIT_MS = 100;

/** What closes a node that brackets or words enclose. */
const CLOSER = /^(?:[)\]}]|end|fi|done|esac)$/;
/** What begins another block on a closer's line; whatever else stands there belongs to the block that is closed. */
export const NEXT_BLOCK = /^\s*(?:else|catch|finally)\b|^,\s*[{[(]$/;
const WORD_CLOSERS = ["end", "fi", "done", "esac"];
const OPENS_BRACKET = /[{([]$/;
/** Nodes whose lines may begin anywhere. */
const FREE_TEXT = /string|heredoc|template|comment/;
/** Lines that stand further left than the block they are in. */
const OUTDENTED = /^(?:#|preproc_|label|access_specifier)/;
/** What begins and ends a text that may run over several lines: the end, appended, makes an unclosed one a node. */
const TEXT_ENDS = [
  ['"""', '"""'],
  ["'''", "'''"],
  ["`", "`"],
  ['"', '"'],
  ["'", "'"],
  ["/*", "*/"],
] as const;
const HEREDOC = /<<[-~]?\s*["']?(\w+)/g;

/** Of a line that stands further left than the block: whether it is in it, leaves it, or is a comment that may do either. */
export type LineAt = (start: number) => "inside" | "outside" | "comment";

/** Of one completion. */
export class SyntaxEnd implements Disposable {
  readonly #language: Language | undefined;
  /** The text before the cursor, or the last of it. */
  readonly #before: string;
  /** Whether the cursor stands behind what opens a block; otherwise its line is blank. */
  readonly #opens: boolean;
  /** Null where indentation decides alone. */
  #parser: Parser | null | undefined;
  #tree: Tree | undefined;
  #parsed: string;
  /** What could be known of the text that was looked at last. */
  #seen = "";
  /** Where lines begin that lie in strings and comments. */
  readonly #free = new Set<number>();

  /** Loads the grammar of the path's language, unless it is there; until it is, indentation decides. */
  constructor(path: string, prefix: string) {
    this.#language = languageOf(path);
    if (this.#language) grammarAtHand(this.#language);
    this.#before = windowOf(prefix);
    this.#parsed = this.#before;
    this.#opens = this.#before.slice(this.#before.lastIndexOf("\n") + 1).trim() !== "";
  }

  /**
   * The length of `text` that belongs to the completion, undefined while more may come. Each call must append to the text
   * of the one before.
   * @param layout where indentation would end it, asked what the syntax says of each line that leaves the block.
   * @param isLong whether it has become too long to wait for its end.
   */
  of(text: string, layout: (lineAt?: LineAt) => number | undefined, isLong: boolean): number | undefined {
    // Something new can only be known at a line's end, at its first character and behind its first word.
    const line = text.slice(text.lastIndexOf("\n") + 1).trim();
    const seen = `${text.split("\n").length} ${line === "" ? "" : /^\w+$/.test(line) ? "word" : "words"}`;
    if (seen === this.#seen) return undefined;
    this.#seen = seen;
    // What has decided once decides to the end.
    if (this.#parser === undefined) this.#parser = (this.#language && grammarAtHand(this.#language)?.parser) ?? null;
    const root = this.#parse(text)?.rootNode;
    if (!root) {
      this.#parser = null;
      return layout();
    }
    const end = this.#opens ? this.#blockEnd(root, text) : this.#levelEnd(root, text);
    if (end !== undefined) return end;
    if (isLong) return this.#wholeStatements(root, text.trimEnd());
    return layout((start) => this.#lineAt(root, text, start));
  }

  [Symbol.dispose](): void {
    this.#tree?.delete();
    this.#tree = undefined;
  }

  /** The end of the block that the cursor's line opens. */
  #blockEnd(root: Node, text: string): number | undefined {
    const at = this.#before.trimEnd().length;
    let node = root.descendantForIndex(at - 1, at - 1);
    while (node && node.endIndex <= at) node = node.parent;
    if (!node || node.isError || !node.parent) return undefined;
    const body = node.children.find((child) => child.startIndex >= at && child.type === "block");
    if (body && !OPENS_BRACKET.test(this.#before.trimEnd())) return this.#followedEnd(body, text);
    if (!closerOf(node, at)) return this.#followedEnd(node, text);
    const end = node.endIndex - this.#before.length;
    const lineEnd = text.indexOf("\n", end);
    // More may stand behind the closer.
    if (lineEnd < 0) return undefined;
    return NEXT_BLOCK.test(text.slice(end, lineEnd)) ? end : lineEnd;
  }

  /** The end of the block that holds the blank line with the cursor; outside of all blocks, of a statement of several lines. */
  #levelEnd(root: Node, text: string): number | undefined {
    const first = this.#before.length + text.search(/\S/);
    if (first < this.#before.length) return undefined;
    let statement = root.descendantForIndex(first, first);
    while (statement?.parent?.parent && statement.parent.startIndex === first) statement = statement.parent;
    if (!statement || statement.isError) return undefined;
    if (statement.type === "block") return this.#followedEnd(statement, text);
    // A list of statements ends where its block does.
    const parent = statement.parent?.type === "statement_list" ? statement.parent.parent : statement.parent;
    if (!parent || parent.isError) return undefined;
    if (parent.parent) {
      const closer = closerOf(parent, first);
      if (!closer) return this.#followedEnd(parent, text);
      return text.slice(0, closer.startIndex - this.#before.length).trimEnd().length;
    }
    const isIndented = /[ \t]$/.test(this.#before);
    if (root.isError || isIndented || statement.startPosition.row === statement.endPosition.row) return undefined;
    // "else" and the like go on with the statement: the first word behind it must be whole.
    const end = statement.endIndex - this.#before.length;
    return /\n\s*(?:\w+\W|[^\w\s])/.test(text.slice(end)) ? this.#followedEnd(statement, text) : undefined;
  }

  /** The end of a node that nothing closes, with its line, once code on a later line follows it. */
  #followedEnd(node: Node, text: string): number | undefined {
    const end = text.slice(0, Math.max(node.endIndex - this.#before.length, 0)).trimEnd().length;
    const lineEnd = text.indexOf("\n", end);
    const isWhole = end > 0 && lineEnd >= 0 && /^\s*(?:$|[;,#]|\/[/*])/.test(text.slice(end, lineEnd));
    if (!isWhole || node.hasError) return undefined;
    const isFollowed = text
      .slice(lineEnd)
      .split("\n")
      .some((line) => line.trim() !== "" && !this.#language?.lineComment?.test(line));
    return isFollowed && !this.#isInOpenText(text, lineEnd + 1) ? text.slice(0, lineEnd).trimEnd().length : undefined;
  }

  /** Whether a line that begins at `start` in the text and stands further left than the block belongs to it. */
  #lineAt(root: Node, text: string, start: number): ReturnType<LineAt> {
    const line = text.slice(start).trimStart();
    const next = this.#before.length + text.length - line.length;
    const opener = this.#before.trimEnd();
    const isBracket = this.#opens && OPENS_BRACKET.test(opener);
    if (openBrackets(root, opener.length, next) + (isBracket ? 1 : 0) > 0) return "inside";
    // The word that closes the block may be half written.
    if (this.#opens && !opener.endsWith(":") && WORD_CLOSERS.some((word) => word.startsWith(line))) return "inside";
    if (this.#isInOpenText(text, start)) return "inside";
    for (let node = root.descendantForIndex(next, next); node?.startIndex === next; node = node.parent) {
      if (OUTDENTED.test(node.type)) return "inside";
    }
    if (this.#language?.lineComment?.test(line)) return "comment";
    return line.startsWith("#") ? "inside" : "outside";
  }

  /** Whether the line at `start` lies in a string or comment that begins on a line before, behind the cursor, closed or not. */
  #isInOpenText(text: string, start: number): boolean {
    if (this.#free.has(start)) return true;
    const next = this.#before.length + start + text.slice(start).search(/\S/);
    const ends = TEXT_ENDS.filter(([begin]) => text.includes(begin)).map(([, end]) => end);
    const tags = [...text.matchAll(HEREDOC)].map(([, tag]) => `\n${tag}\n`);
    const isInside = ["", ...ends, ...tags].some((end) => {
      // Anew: what is reused of a tree with errors keeps them.
      const tree = this.#parser?.parse(this.#before + text + end, null, { progressCallback: deadline() });
      if (!tree) this.#parser?.reset();
      let node = tree?.rootNode.descendantForIndex(next, next) ?? null;
      while (node && !(FREE_TEXT.test(node.type) && !node.hasError && node.startIndex < this.#before.length + start)) {
        node = node.parent;
      }
      const found = node !== null && node.startIndex >= this.#before.trimEnd().length;
      tree?.delete();
      return found;
    });
    if (isInside) this.#free.add(start);
    return isInside;
  }

  /** Where the last statement ends that is whole, of a text that is too long; all of it where there is none. */
  #wholeStatements(root: Node, text: string): number {
    const lines = [...text.matchAll(/[^\n]*/g)].filter(({ 0: line }) => line.trim() !== "");
    const cursorLine = this.#before.slice(this.#before.lastIndexOf("\n") + 1);
    const level = this.#opens ? indentOf(lines.find(({ index }) => index > 0)?.[0] ?? "") : indentOf(cursorLine);
    const from = this.#before.trimEnd().length;
    const next = lines.findLast(
      ({ 0: line, index }) =>
        index > 0 &&
        indentOf(line) === level &&
        !CLOSER.test(line.trim().slice(0, 1)) &&
        openBrackets(root, from, this.#before.length + index) === 0 &&
        text.slice(0, index).trim() !== "",
    );
    return next ? text.slice(0, next.index).trimEnd().length : text.length;
  }

  /** The tree of the text before the cursor and behind it; undefined where that takes too long. */
  #parse(text: string): Tree | undefined {
    if (!this.#parser) return undefined;
    const whole = this.#before + text;
    if (this.#tree && this.#parsed === whole) return this.#tree;
    this.#tree?.edit(appending(this.#parsed, whole));
    const tree = this.#parser.parse(whole, this.#tree, { progressCallback: deadline() });
    if (!tree) this.#parser.reset();
    this[Symbol.dispose]();
    this.#tree = tree ?? undefined;
    this.#parsed = whole;
    return this.#tree;
  }
}

/** The last of a text, from a line on that is not indented, where there is one. */
function windowOf(text: string): string {
  if (text.length <= WINDOW_CHARS) return text;
  const last = text.slice(-WINDOW_CHARS);
  const start = last.search(/\n(?=\w)/);
  return last.slice((start < 0 ? last.indexOf("\n") : start) + 1);
}

/** The token that closes a node behind a place; undefined where nothing does, or not yet. */
function closerOf(node: Node, at: number): Node | undefined {
  const last = node.lastChild;
  return last && !last.isMissing && last.startIndex >= at && CLOSER.test(last.type) ? last : undefined;
}

/** Brackets opened less brackets closed by tokens that begin in a range; those in strings and comments are none. */
function openBrackets(root: Node, from: number, to: number): number {
  let depth = 0;
  // Not by recursion: code may be nested deeper than the stack goes.
  for (const nodes = [root]; nodes.length > 0; ) {
    const node = nodes.pop()!;
    if (node.endIndex <= from || node.startIndex >= to || node.isMissing) continue;
    if (node.childCount > 0) for (const child of node.children) nodes.push(child);
    else if (node.startIndex < from) continue;
    else if (/^\$?[{([]$/.test(node.type)) depth++;
    else if (/^[)\]}]$/.test(node.type)) depth--;
  }
  return depth;
}

/** What makes the text `after` of the text `before`, which it begins with. */
function appending(before: string, after: string): Edit {
  const startPosition = endOf(before);
  return new Edit({
    startIndex: before.length,
    oldEndIndex: before.length,
    newEndIndex: after.length,
    startPosition,
    oldEndPosition: startPosition,
    newEndPosition: endOf(after),
  });
}

const endOf = (text: string) => ({
  row: text.split("\n").length - 1,
  column: text.length - text.lastIndexOf("\n") - 1,
});

const indentOf = (line: string) => line.length - line.trimStart().length;

function deadline(): () => boolean {
  const end = performance.now() + LIMIT_MS;
  return () => performance.now() > end;
}

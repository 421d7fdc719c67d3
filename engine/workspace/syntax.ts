/** The symbols of a source file, read with tree-sitter. */
import {
  type Node,
  Parser,
  Query,
  type QueryMatch,
  type Tree,
  type Language as TreeSitterLanguage,
} from "web-tree-sitter";
import { grammarOf } from "./grammars.ts";
import { type Language, languageOf } from "./languages.ts";

/** A definition. Lines are 1-based and inclusive. */
export interface FileSymbol {
  readonly name: string;
  readonly kind: string;
  /** The name of the innermost symbol around it, or of the type it is a method of. */
  readonly container: string | null;
  readonly startLine: number;
  readonly endLine: number;
  /** The doc comment: the lines before the definition, or the docstring in it. */
  readonly doc: LineRange | null;
  /** The definition up to its body. */
  readonly signature: string;
}

export interface LineRange {
  readonly startLine: number;
  readonly endLine: number;
}

export interface FileSyntax {
  /** In the order of their first lines, an outer symbol before those in it. */
  readonly symbols: readonly FileSymbol[];
  /** Lines that start a statement: where a long piece of code may be cut. Ascending, only where pieces are long. */
  readonly borders: readonly number[];
}

/** A file takes about 1 ms for 4 KiB; whatever takes longer than this is not code as people write it. */
const LIMIT_MS = 2000;
/** So long a file is parsed before other work is let in, in ms. */
const SLICE_MS = 5;
/** Code that is nested deeper than this gets no borders inside. */
const MAX_BORDER_DEPTH = 200;
/** Pieces longer than this get borders to be cut at. */
const LONG_LINES = 40;
const MAX_SIGNATURE_CHARS = 400;
const MAX_NAME_CHARS = 200;
/** How far up the start of a comment is looked for. */
const MAX_COMMENT_LINES = 1000;

/** What a definition may be wrapped in while still being one with it: exports, decorators, templates, declarations. */
const WRAPPERS = new Set([
  "ambient_declaration",
  "decorated_definition",
  "export_statement",
  "expression_statement",
  "lexical_declaration",
  "template_declaration",
  "type_declaration",
  "variable_declaration",
  "const_declaration",
  "var_declaration",
]);
/** Functions in these are methods. */
const CLASS_LIKE = new Set(["class", "impl", "interface", "struct", "trait", "union"]);

const queries = new Map<string, Query>();

async function queryOf(language: Language, grammar: TreeSitterLanguage, rest: () => Promise<void>): Promise<Query> {
  let query = queries.get(language.name);
  if (!query) {
    await rest();
    query = new Query(grammar, language.query);
    queries.set(language.name, query);
    await rest();
  }
  return query;
}

/**
 * The symbols of a file. Text with syntax errors gives the symbols that can be made out.
 * Undefined where the language is not known or the text cannot be read within LIMIT_MS.
 * @param rest called between two steps; a query's first use and what follows the parsing take some tens of ms.
 */
export async function syntaxOf(path: string, text: string, rest = async () => {}): Promise<FileSyntax | undefined> {
  const language = languageOf(path);
  if (!language) return undefined;
  const { language: grammar } = await grammarOf(language);
  const query = await queryOf(language, grammar, rest);
  const tree = await treeOf(grammar, text, rest);
  if (!tree) return undefined;
  try {
    await rest();
    const deadline = performance.now() + LIMIT_MS;
    const isLate = () => performance.now() > deadline;
    const lines = text.split("\n");
    // Matching takes time that grows with the square of the depth.
    const matches = query.matches(tree.rootNode, { progressCallback: isLate });
    const definitions = isLate() ? undefined : definitionsOf(matches, text, isLate);
    return (
      definitions && {
        symbols: symbolsOf(definitions, language, text, lines),
        borders: lines.length > LONG_LINES ? bordersOf(tree.rootNode) : [],
      }
    );
  } finally {
    tree.delete();
  }
}

/** The tree of a text, made a slice at a time; undefined where it takes more than LIMIT_MS. */
async function treeOf(grammar: TreeSitterLanguage, text: string, rest: () => Promise<void>): Promise<Tree | undefined> {
  // Of its own: one that rests cannot parse anything else.
  const parser = new Parser();
  try {
    parser.setLanguage(grammar);
    for (let workedMs = 0; workedMs < LIMIT_MS; ) {
      const startMs = performance.now();
      // A parser that was stopped goes on from there.
      const tree = parser.parse(text, null, { progressCallback: () => performance.now() - startMs > SLICE_MS });
      if (tree) return tree;
      workedMs += performance.now() - startMs;
      await rest();
    }
    return undefined;
  } finally {
    parser.delete();
  }
}

interface Definition {
  readonly kind: string;
  readonly name: string;
  readonly container: string | null;
  readonly node: Node;
  readonly patternIndex: number;
  /** The outermost node that is one with the definition. */
  readonly outer: Node;
}

function symbolsOf(
  definitions: readonly Definition[],
  language: Language,
  text: string,
  lines: readonly string[],
): FileSymbol[] {
  const open: Definition[] = [];
  const symbols = definitions.map((definition) => {
    const { kind, name, container, node, outer } = definition;
    while (open.length > 0 && !isInside(node, open[open.length - 1].node)) open.pop();
    const parent = open.at(-1);
    open.push(definition);
    const startLine = outer.startPosition.row + 1;
    return {
      name,
      kind: kind === "function" && (container !== null || CLASS_LIKE.has(parent?.kind ?? "")) ? "method" : kind,
      container: container ?? parent?.name ?? null,
      startLine,
      endLine: lastLine(outer),
      doc: (language.name === "python" ? docstring(node) : null) ?? commentBefore(lines, startLine, language),
      signature: signatureOf(node, outer, text),
    };
  });
  return symbols.sort((a, b) => a.startLine - b.startLine || b.endLine - a.endLine);
}

/** Whether a node that starts no earlier lies in another one; two names of one declaration do not lie in each other. */
function isInside(node: Node, outer: Node): boolean {
  return node.endIndex <= outer.endIndex && !node.equals(outer);
}

/** The line of a node's last character: a node that ends at the start of a line does not reach into it. */
function lastLine(node: Node): number {
  const { row, column } = node.endPosition;
  return Math.max(node.startPosition.row + 1, column === 0 ? row : row + 1);
}

/** The definitions in the order of their place; undefined where that takes too long. */
function definitionsOf(matches: readonly QueryMatch[], text: string, isLate: () => boolean): Definition[] | undefined {
  const found = new Map<number, Definition>();
  for (const { captures, patternIndex } of matches) {
    if (isLate()) return undefined;
    let definition: { kind: string; node: Node } | undefined;
    let name = "";
    let nameAt = 0;
    let container: string | null = null;
    for (const { name: capture, node } of captures) {
      const captured = () => text.slice(node.startIndex, node.endIndex).replace(/\s+/g, " ");
      if (capture === "name") {
        name = captured();
        nameAt = node.startIndex;
      } else if (capture === "container") container = captured().replace(/^\*|\[.*$/g, "");
      else definition = { kind: capture, node };
    }
    // Several patterns may match one definition; the first one in the query is the most precise.
    if (!definition || name === "" || (found.get(nameAt)?.patternIndex ?? Infinity) <= patternIndex) continue;
    const qualified = /^(?:.*::)?([^:]+)::([^:]+)$/.exec(name);
    if (qualified && definition.kind === "function") [, container, name] = qualified;
    name = name.slice(0, MAX_NAME_CHARS);
    found.set(nameAt, { ...definition, name, container, patternIndex, outer: outermost(definition.node) });
  }
  return [...found.values()].sort((a, b) => a.node.startIndex - b.node.startIndex || b.node.endIndex - a.node.endIndex);
}

function outermost(node: Node): Node {
  let outer = node;
  for (let parent = node.parent; parent && WRAPPERS.has(parent.type); parent = parent.parent) {
    // A list of declarations belongs to none of them alone.
    if (parent.namedChildCount > 1 && parent.type.endsWith("_declaration") && parent.type !== "template_declaration")
      break;
    outer = parent;
  }
  return outer;
}

/** The comment and attribute lines right above a definition. */
function commentBefore(lines: readonly string[], startLine: number, language: Language): LineRange | null {
  let first = startLine;
  while (first > 1) {
    const above = lines[first - 2];
    if (language.lineComment?.test(above)) first--;
    else if (language.blockComment && above.trimEnd().endsWith("*/")) {
      let open = first - 2;
      const lowest = Math.max(0, open - MAX_COMMENT_LINES);
      while (open > lowest && !lines[open].includes("/*")) open--;
      // A comment at the end of a line of code belongs to that line.
      if (!lines[open].trimStart().startsWith("/*")) break;
      first = open + 1;
    } else break;
  }
  return first === startLine ? null : { startLine: first, endLine: startLine - 1 };
}

function docstring(node: Node): LineRange | null {
  const statement = node.childForFieldName("body")?.firstNamedChild;
  if (statement?.type !== "expression_statement" || statement.firstNamedChild?.type !== "string") return null;
  return { startLine: statement.startPosition.row + 1, endLine: statement.endPosition.row + 1 };
}

function signatureOf(node: Node, outer: Node, text: string): string {
  const body = bodyOf(node, 3);
  const end = body?.startIndex ?? outer.endIndex;
  const whole = text.slice(outer.startIndex, end).trim();
  const head = body ? whole : whole.split("\n", 1)[0];
  return head.replace(/\s+/g, " ").slice(0, MAX_SIGNATURE_CHARS).trim();
}

/** The body of a definition: its own, or that of the function or class it gives a name to. */
function bodyOf(node: Node, depth: number): Node | null {
  const body = node.childForFieldName("body");
  if (body || depth === 0) return body;
  for (const field of ["value", "right", "definition", "declaration", "type"]) {
    const inner = node.childForFieldName(field);
    const found = inner && bodyOf(inner, depth - 1);
    if (found) return found;
  }
  return (
    node.namedChildren.find((child) =>
      /block$|(?:declaration|enumerator|variant|member|case)_list$|body$/.test(child.type),
    ) ?? null
  );
}

/** First lines of the statements that long nodes are made of, ascending; the lines of comments before them count. */
function bordersOf(root: Node): number[] {
  const borders = new Set<number>();
  const visit = (node: Node, depth: number): void => {
    let previousEnd = node.startPosition.row;
    let afterComment = false;
    for (const child of node.namedChildren) {
      const { row } = child.startPosition;
      if (row > previousEnd && !afterComment) borders.add(row + 1);
      afterComment = child.type.includes("comment") && row > previousEnd;
      previousEnd = lastLine(child) - 1;
      if (previousEnd - row >= LONG_LINES && depth < MAX_BORDER_DEPTH) visit(child, depth + 1);
    }
  };
  visit(root, 0);
  return [...borders].sort((a, b) => a - b);
}

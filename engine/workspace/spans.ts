/**
 * Cuts a file into spans, the pieces that retrieval ranks: a symbol with its doc comment, a Markdown section, or a
 * window of lines. Together the spans of a file hold every line of it.
 */
import { isMarkdown } from "./languages.ts";
import { headingsOf } from "./markdown.ts";
import { type FileSymbol, type LineRange, syntaxOf } from "./syntax.ts";

/** A piece of a file. Lines are 1-based and inclusive. */
export interface Span extends LineRange {
  /** The symbol the span is or belongs to, null outside of symbols. */
  readonly symbol: string | null;
  readonly kind: string | null;
  readonly container: string | null;
  /** Names of the symbols that begin in the span, and of the symbols around it. */
  readonly names: readonly string[];
  /** The lines of the symbol's doc comment that lie in the span. */
  readonly doc: LineRange | null;
  readonly text: string;
}

export interface CutFile {
  readonly spans: readonly Span[];
  readonly symbols: readonly FileSymbol[];
  readonly nLines: number;
}

/** A symbol up to this size is one span; what is longer is cut. */
const MAX_LINES = 60;
const MAX_CHARS = 6000;
/** A window is not cut earlier than this. */
const MIN_WINDOW_LINES = 30;
/** Lines shared by two windows where no better border was found. */
const OVERLAP_LINES = 5;
/** Constants, imports, fields and the like up to this size are put together, and functions only when they are tiny. */
const SMALL_LINES = 4;
const TINY_LINES = 2;
const MAX_GROUP_LINES = 40;

/** Lines that stay together. */
interface Segment extends LineRange {
  /** The symbol the lines are or belong to. */
  readonly owner: SymbolNode | null;
  /** The symbol around them: only neighbours within the same one are put together. */
  readonly scope: SymbolNode | null;
  readonly isSmall: boolean;
}

interface SymbolNode extends LineRange {
  readonly symbol: FileSymbol;
  readonly parent: SymbolNode | null;
  readonly children: SymbolNode[];
}

/**
 * The spans and symbols of a file. Text without a known syntax is cut into windows, empty text gives none.
 * @param rest as in syntaxOf.
 */
export async function cutFile(path: string, text: string, rest?: () => Promise<void>): Promise<CutFile> {
  const lines = text.split("\n");
  // A line break at the end of a file ends its last line, it does not start another.
  if (lines[lines.length - 1] === "") lines.pop();
  const file = new Lines(lines);
  const syntax = await syntaxOf(path, text, rest);
  const symbols = syntax?.symbols ?? (isMarkdown(path) ? headingsOf(lines) : []);
  const borders = new Set(syntax?.borders ?? file.paragraphStarts());
  const segments = layOut(null, nest(symbols), 1, lines.length, file, borders);
  return {
    spans: group(segments, file).map((segment) => toSpan(segment, symbols, file)),
    symbols,
    nLines: lines.length,
  };
}

/** The lines of a file, with the sizes of ranges of them. */
class Lines {
  readonly lines: readonly string[];
  /** Characters before each line, and in the whole. */
  readonly #offsets: number[] = [0];

  constructor(lines: readonly string[]) {
    this.lines = lines;
    for (const line of lines) this.#offsets.push(this.#offsets[this.#offsets.length - 1] + line.length + 1);
  }

  text({ startLine, endLine }: LineRange): string {
    return this.lines.slice(startLine - 1, endLine).join("\n");
  }

  fits(startLine: number, endLine: number): boolean {
    return endLine - startLine < MAX_LINES && this.#offsets[endLine] - this.#offsets[startLine - 1] <= MAX_CHARS;
  }

  /** First lines of paragraphs. */
  paragraphStarts(): number[] {
    const isBlank = (line: string) => line.trim() === "";
    return this.lines.flatMap((line, i) => (i > 0 && !isBlank(line) && isBlank(this.lines[i - 1]) ? [i + 1] : []));
  }

  /** Whether a range says nothing on its own: blank lines, closing brackets, `end`. */
  isTrivial({ startLine, endLine }: LineRange): boolean {
    return this.lines.slice(startLine - 1, endLine).every((line) => /^[\s{}()[\];,]*(?:end|fi|done)?\s*$/.test(line));
  }
}

/** Symbols as a tree by the lines they span, doc comments included. */
function nest(symbols: readonly FileSymbol[]): SymbolNode[] {
  const roots: SymbolNode[] = [];
  let parent: SymbolNode | null = null;
  for (const symbol of symbols) {
    while (parent && symbol.startLine > parent.endLine) parent = parent.parent;
    const startLine = Math.min(symbol.doc?.startLine ?? symbol.startLine, symbol.startLine);
    const node: SymbolNode = { symbol, parent, children: [], startLine, endLine: symbol.endLine };
    (parent?.children ?? roots).push(node);
    parent = node;
  }
  return roots;
}

/** Segments that hold the lines of a range in order: symbols that fit, and windows over what lies between them. */
function layOut(
  owner: SymbolNode | null,
  children: readonly SymbolNode[],
  startLine: number,
  endLine: number,
  file: Lines,
  borders: ReadonlySet<number>,
): Segment[] {
  const segments: Segment[] = [];
  let next = startLine;
  for (const child of children) {
    const first = Math.max(child.startLine, next);
    const last = Math.min(child.endLine, endLine);
    // A symbol on a line that another one has taken already.
    if (last < first) continue;
    segments.push(...windows(owner, next, first - 1, file, borders));
    if (file.fits(first, last)) segments.push(toSegment(first, last, child, owner));
    else segments.push(...layOut(child, child.children, first, last, file, borders));
    next = last + 1;
  }
  segments.push(...windows(owner, next, endLine, file, borders));
  return segments;
}

function windows(
  owner: SymbolNode | null,
  startLine: number,
  endLine: number,
  file: Lines,
  borders: ReadonlySet<number>,
): Segment[] {
  const segments: Segment[] = [];
  for (let first = startLine; first <= endLine; ) {
    let last = endLine;
    let next = endLine + 1;
    if (!file.fits(first, endLine)) {
      last = first;
      while (file.fits(first, last + 1)) last++;
      next = last + 1;
      while (next > first + MIN_WINDOW_LINES && !borders.has(next)) next--;
      if (borders.has(next)) last = next - 1;
      else next = Math.max(first + 1, last + 1 - OVERLAP_LINES);
    }
    segments.push(toSegment(first, last, owner, owner));
    first = next;
  }
  return segments;
}

function toSegment(startLine: number, endLine: number, owner: SymbolNode | null, scope: SymbolNode | null): Segment {
  const isFunction = owner !== scope && /function|method|class/.test(owner?.symbol.kind ?? "");
  return { startLine, endLine, owner, scope, isSmall: endLine - startLine < (isFunction ? TINY_LINES : SMALL_LINES) };
}

/** Puts small neighbours together, and what says nothing on its own to the segment before or after it. */
function group(segments: readonly Segment[], file: Lines): Segment[] {
  const groups: Segment[] = [];
  for (const segment of segments) {
    const previous = groups.at(-1);
    const joined = previous && join(previous, segment, file);
    if (joined) groups[groups.length - 1] = joined;
    else groups.push(segment);
  }
  return groups;
}

function join(a: Segment, b: Segment, file: Lines): Segment | undefined {
  if (!file.fits(a.startLine, b.endLine)) return undefined;
  if (file.isTrivial(b)) return { ...a, endLine: b.endLine };
  if (file.isTrivial(a)) return { ...b, startLine: a.startLine };
  if (!a.isSmall || !b.isSmall || a.scope !== b.scope || b.endLine - a.startLine >= MAX_GROUP_LINES) return undefined;
  return { ...a, endLine: b.endLine, owner: a.scope };
}

function toSpan({ startLine, endLine, owner }: Segment, symbols: readonly FileSymbol[], file: Lines): Span {
  const range = { startLine, endLine };
  const names: string[] = [];
  for (let i = firstFrom(symbols, startLine); i < symbols.length && symbols[i].startLine <= endLine; i++) {
    names.push(symbols[i].name);
  }
  for (let node = owner; node; node = node.parent) {
    if (node.symbol.startLine < startLine || node.symbol.startLine > endLine) names.push(node.symbol.name);
  }
  if (owner?.symbol.container && !owner.parent) names.push(owner.symbol.container);
  return {
    ...range,
    symbol: owner?.symbol.name ?? null,
    kind: owner?.symbol.kind ?? null,
    container: owner?.symbol.container ?? null,
    names,
    doc: overlap(owner?.symbol.doc ?? null, range),
    text: file.text(range),
  };
}

/** Index of the first symbol that begins at a line or after it. */
function firstFrom(symbols: readonly FileSymbol[], line: number): number {
  let low = 0;
  let high = symbols.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (symbols[middle].startLine < line) low = middle + 1;
    else high = middle;
  }
  return low;
}

function overlap(a: LineRange | null, b: LineRange): LineRange | null {
  if (!a || a.endLine < b.startLine || a.startLine > b.endLine) return null;
  return { startLine: Math.max(a.startLine, b.startLine), endLine: Math.min(a.endLine, b.endLine) };
}

/** Answers a question about a folder: finds the spans that answer, quotes or generates a paragraph, cites every source. */
import type { CatalogueReader, StoredSpan } from "../memory/catalogue-types.ts";
import type { FoundPlace } from "../memory/placed-context.ts";
import type { MemoryTrace, TracedBlock } from "../memory/trace.ts";
import { candidatesOf } from "./candidates.ts";
import { proseOf } from "./comments.ts";
import { type ChatModel, citedNumbers, generateAnswer, groundedPrompt } from "./grounded.ts";
import { narrow } from "./passage.ts";
import { Pointer, stability } from "./pointer.ts";
import { contentTerms, parseQuery } from "./query.ts";
import { type RankedSpan, type Retrieved, retrieve } from "./retrieve.ts";
import { summarise } from "./summary.ts";
import { isSupported } from "./support.ts";

export interface AskDeps {
  readonly catalogue: CatalogueReader;
  /** The folder's name as the user knows it. */
  readonly folderName: string;
  /** Writes the answer in prose; without one the answer is quoted from the repository. */
  readonly chatModel?: ChatModel;
  /** The user has said where to look: the best that is there answers, however little it fits. */
  readonly isScoped?: boolean;
}

export interface AskOptions {
  readonly maxCitations?: number;
  readonly signal?: AbortSignal;
  /** Called once, before a chat model starts to write. */
  readonly onCitations?: (citations: readonly Citation[]) => void;
  /** Gets the answer's text piece by piece. */
  readonly onText?: (piece: string) => void;
}

/** A place that answers, in the order of relevance; the answer's mark [n] is the n-th. */
export interface Citation {
  /** Path below the folder, with forward slashes. */
  readonly file: string;
  /** From 1, both included. */
  readonly startLine: number;
  readonly endLine: number;
  /** How likely the answer lies here rather than in another place or nowhere, 0 to 1. */
  readonly score: number;
  readonly symbol: string | null;
  /** The definition up to its body, where the place lies in one. */
  readonly signature: string | null;
  /** The symbol's own doc comment as prose. */
  readonly doc: string | null;
  readonly text: string;
}

export interface AskResult {
  readonly found: boolean;
  readonly answer: string;
  readonly citations: readonly Citation[];
  /**
   * How firmly the first citation is first: the smallest change of the places' scores that puts another one there, in
   * standard deviations of these scores. Null where there is no other.
   */
  readonly stability: number | null;
  /** The chat model's name, or "extractive" where the answer quotes the repository. */
  readonly model: string;
  /** What of the folder's memory the model attended to, where it has one. */
  readonly memory?: MemoryTrace;
  /** From the call to each stage's end, in ms. */
  readonly timingsMs: { readonly citations: number; readonly total: number };
}

export const EXTRACTIVE = "extractive";
const MAX_CITATIONS = 8;
/** Places named where nothing fits. */
const MAX_NEAREST = 3;
/** A span with less than this share of the best one's score is about something else. */
const MIN_SCORE_SHARE = 0.45;

/**
 * Answers `question`. Where nothing in the folder fits, `found` is false and there are no citations.
 * Errors: bad-input for a question without a word to search for; cancelled.
 */
export async function ask(question: string, deps: AskDeps, options: AskOptions = {}): Promise<AskResult> {
  const start = performance.now();
  const retrieved = retrieve(parseQuery(question), deps.catalogue);
  const elapsed = () => performance.now() - start;
  const model = deps.chatModel?.name ?? EXTRACTIVE;
  if (retrieved.spans.length === 0 || !(deps.isScoped || isSupported(retrieved))) {
    const answer = notFound(retrieved, deps);
    options.onText?.(answer);
    return {
      found: false,
      answer,
      citations: [],
      stability: null,
      model,
      timingsMs: { citations: elapsed(), total: elapsed() },
    };
  }
  const { spans, firmness } = choose(retrieved, options.maxCitations ?? MAX_CITATIONS);
  const citations = cite(spans, retrieved, deps.catalogue);
  const citationsMs = elapsed();
  options.onCitations?.(citations);
  const found = (answer: string, cited: readonly Citation[], memory?: MemoryTrace): AskResult => ({
    found: true,
    answer,
    citations: cited,
    stability: firmness === null ? null : Number(firmness.toFixed(3)),
    model,
    memory,
    timingsMs: { citations: citationsMs, total: elapsed() },
  });
  if (!deps.chatModel) {
    const answer = summarise(
      retrieved.evidence,
      spans.map(({ span }, index) => ({ span, signature: citations[index].signature })),
    );
    options.onText?.(answer);
    return found(answer, citations);
  }
  const recalled = await deps.chatModel.recall?.(question, citations, options.signal);
  const { chatModel } = deps;
  const countTokens = (text: string) => chatModel.countTokens(text);
  const room = { contextTokens: recalled?.contextTokens ?? chatModel.contextTokens, countTokens };
  const { messages, nGiven } = groundedPrompt(question, citations, room, recalled?.holds);
  const answer = await generateAnswer(recalled ?? deps.chatModel, messages, nGiven, options);
  const given = citations.slice(0, Math.max(nGiven, ...citedNumbers(answer)));
  const trace = recalled?.trace();
  return found(answer, trace ? [...given, ...attended(trace, given, deps.catalogue)] : given, trace);
}

/** A block with this share of the attention that the best one got was used. */
const USED_SHARE = 0.5;

/** The places of blocks that the answer was written from and that are not cited yet, the most attended first. */
function attended({ layers }: MemoryTrace, cited: readonly Citation[], catalogue: CatalogueReader): Citation[] {
  const [{ blocks, looks }] = layers;
  if (looks === 0) return [];
  const overlaps = (block: TracedBlock, { file, startLine, endLine }: Citation) =>
    file === block.path && startLine <= block.endLine && endLine >= block.startLine;
  return blocks
    .filter((block) => block.mass >= USED_SHARE * blocks[0].mass && !cited.some((place) => overlaps(block, place)))
    .flatMap(({ path, startLine, endLine, mass }) => {
      const lines = catalogue
        .spansOf(path)
        .flatMap((span) => span.text.split("\n").map((text, i) => ({ text, line: span.startLine + i })))
        .filter(({ line }) => line >= startLine && line <= endLine);
      if (lines.length === 0) return [];
      const place = { file: path, startLine: lines[0].line, endLine: lines[lines.length - 1].line };
      const text = lines.map((line) => line.text).join("\n");
      return [{ ...place, text, score: Number(mass.toFixed(3)), symbol: null, signature: null, doc: null }];
    });
}

/** The places that fit a text best; none where it asks nothing that the folder answers. */
export function placesFor(text: string, catalogue: CatalogueReader): FoundPlace[] {
  if (contentTerms(text).length === 0) return [];
  const retrieved = retrieve(parseQuery(text), catalogue);
  if (retrieved.spans.length === 0 || !isSupported(retrieved)) return [];
  return choose(retrieved, MAX_CITATIONS).spans.map(({ span }) => narrow(span, retrieved.evidence.idf));
}

/** Says that nothing fits, and where the reader may look all the same: the places are named, not cited. */
function notFound({ spans, evidence }: Retrieved, { folderName }: AskDeps): string {
  const nearest = spans.slice(0, MAX_NEAREST).map(({ span }) => {
    const { file, startLine, endLine } = narrow(span, evidence.idf);
    return `${file}:${startLine}-${endLine}`;
  });
  const rest = nearest.length === 0 ? "" : ` Nearest, but perhaps about something else: ${nearest.join(", ")}.`;
  return `I did not find this in ${folderName}.${rest}`;
}

/** The best spans that are not about something else, in the pointer's order: a span's score is how likely it answers. */
function choose({ evidence, spans }: Retrieved, limit: number): { spans: RankedSpan[]; firmness: number | null } {
  const best = spans[0]?.score ?? 0;
  // In a scoped search even the best may score below zero; it is never left out.
  const atLeast = best - (1 - MIN_SCORE_SHARE) * Math.abs(best);
  const seen = spans.slice(0, MAX_CITATIONS);
  const candidates = candidatesOf(evidence, seen);
  const { probabilities } = Pointer.open().point(candidates);
  const likely = seen.map(({ span }) => ({ span, score: 0 }));
  for (const [i, unit] of candidates.units.entries()) likely[unit.span].score += probabilities[i];
  const chosen = likely.filter((_, i) => seen[i].score >= atLeast).slice(0, limit);
  // A span's mass is a sum of exponentials of scores: its logarithm is a score too.
  const firmness = likely.length < 2 ? null : stability(likely.map(({ score }) => Math.log(score + 1e-9)));
  return { spans: chosen.sort((a, b) => b.score - a.score), firmness };
}

function cite(spans: readonly RankedSpan[], { evidence }: Retrieved, catalogue: CatalogueReader): Citation[] {
  return spans.map(({ span, score }) => {
    const passage = narrow(span, evidence.idf);
    const doc = proseOf(span.docText);
    return {
      ...passage,
      score: Number(score.toFixed(3)),
      symbol: span.symbol,
      signature: signatureOf(span, catalogue),
      doc: doc === "" ? null : doc,
    };
  });
}

function signatureOf(span: StoredSpan, catalogue: CatalogueReader): string | null {
  if (span.symbol === null) return null;
  const symbol = catalogue
    .symbolsNamed([span.symbol])
    .find(({ file, name, container }) => file === span.file && name === span.symbol && container === span.container);
  return symbol?.signature || null;
}

/** A one-paragraph answer in the repository's own words: the sentences of its comments that answer best, each cited. */
import type { StoredSpan } from "../memory/catalogue-types.ts";
import { termsOf } from "../memory/terms.ts";
import { commentsIn, proseOf, sentencesOf } from "./comments.ts";
import { coverage, type Evidence } from "./evidence.ts";
import { isTest } from "./fusion.ts";

const MAX_SENTENCES = 3;
/** A sentence must cover this share of what the question tells. */
const MIN_COVERAGE = 0.15;
/** A citation further down must cover this much more to be quoted before one further up. */
const RANK_COST = 0.03;
/** A doc comment is written to explain; a comment in the code may be about a detail. */
const DOC_CREDIT = 0.1;

interface Sentence {
  readonly text: string;
  readonly mark: number;
  readonly place: number;
  readonly terms: ReadonlySet<string>;
  readonly worth: number;
}

/** A cited span and what the answer says of it. */
export interface Cited {
  readonly span: StoredSpan;
  /** The first line or lines of what the span defines. */
  readonly signature: string | null;
}

/** The paragraph for the spans cited as [1], [2], ... in this order. Never empty while there is a span. */
export function summarise(evidence: Evidence, cited: readonly Cited[]): string {
  const candidates = cited.flatMap(({ span }, index) =>
    // A comment in a test is about the test.
    isTest(span.file, evidence.query) ? [] : sentencesAbout(evidence, span, index),
  );
  const chosen: Sentence[] = [];
  const said = new Set<string>();
  while (chosen.length < MAX_SENTENCES) {
    const next = bestOf(evidence, candidates, said);
    if (!next) break;
    chosen.push(next);
    for (const term of next.terms) said.add(term);
    candidates.splice(candidates.indexOf(next), 1);
  }
  const quotes = chosen
    .sort((a, b) => a.mark - b.mark || a.place - b.place)
    .map(({ text, mark }) => `${/[.!?]$/.test(text) ? text : `${text}.`} [${mark}]`);
  // The first place is the best one: where its own comments say nothing it is pointed to.
  return chosen[0]?.mark === 1 ? quotes.join(" ") : [pointTo(cited), ...quotes].join(" ");
}

function sentencesAbout(evidence: Evidence, span: StoredSpan, index: number): Sentence[] {
  const isProse = /\.(?:md|mdx|rst|txt|adoc)$/i.test(span.file);
  const doc = isProse ? span.text : proseOf(span.docText);
  const other = isProse ? "" : proseOf(commentsIn(span.file, span.text));
  const inDoc = sentencesOf(doc);
  // A comment amid the code is a sentence only where it is written as one.
  const inCode = sentencesOf(other).filter((text) => /^[\p{Lu}`"']/u.test(text) && !inDoc.includes(text));
  const all = [...inDoc, ...inCode];
  return all.map((text, place) => {
    const terms = new Set(termsOf(text));
    const credit = place < inDoc.length ? DOC_CREDIT : 0;
    return { text, mark: index + 1, place, terms, worth: coverage(evidence, terms) + credit - RANK_COST * index };
  });
}

/** The sentence that adds most to what is already said. */
function bestOf(evidence: Evidence, candidates: readonly Sentence[], said: ReadonlySet<string>): Sentence | undefined {
  let best: { sentence: Sentence; gain: number } | undefined;
  for (const sentence of candidates) {
    const fresh = coverage(evidence, new Set([...sentence.terms].filter((term) => !said.has(term))));
    if (coverage(evidence, sentence.terms) < MIN_COVERAGE || fresh === 0) continue;
    const gain = sentence.worth + fresh;
    if (!best || gain > best.gain) best = { sentence, gain };
  }
  return best?.sentence;
}

const MAX_SIGNATURE_CHARS = 120;

/** Names the best place. */
function pointTo(cited: readonly Cited[]): string {
  const [{ span, signature }] = cited;
  const head = signature?.replace(/\s*(?:=>|[:={(])$/, "") ?? "";
  const short = head.length > MAX_SIGNATURE_CHARS ? `${head.slice(0, MAX_SIGNATURE_CHARS)}…` : head;
  if (short !== "") return `The best match is \`${short}\` in ${span.file}. [1]`;
  if (span.symbol) return `The best match is ${span.symbol} in ${span.file}. [1]`;
  return `The best match is in ${span.file}. [1]`;
}

/** What a question asks for: its words, the identifiers and paths it spells out, the part of the code it names first. */
import { LongsightError } from "../errors.ts";
import { termsOf } from "../memory/terms.ts";

export interface Query {
  readonly text: string;
  /** Terms in the order of the question, repeated as often as they count; the first line's count twice. */
  readonly terms: readonly string[];
  /** Names written as code: camelCase, snake_case, Type.member, or between backticks. */
  readonly identifiers: readonly string[];
  /** File names and paths, lower case, "/" between the parts. */
  readonly paths: readonly string[];
  /** The terms of a leading scope: "csrf" in "fix(csrf): ..." and in "csrf: ...". */
  readonly scope: readonly string[];
  /** Kinds of files that are ranked lower unless the question speaks of them. */
  readonly mentions: { readonly tests: boolean; readonly docs: boolean; readonly examples: boolean };
}

/** Words that say nothing about code; a question of these alone cannot be searched for. */
const STOP_WORDS = `a about after all also an and any are as at be because been before being between both but by can
could did do does doing done each every exist exists for from had happen happens has have how i if in into is it its
may me might more most must my no nor not of on one only or other our over same shall should so some such than that the
their them then there these they this those to us very via was we were what when where which while who whom whose why
will with within without work works would you your`;

const stopTerms = new Set(termsOf(STOP_WORDS));

/** A leading scope: conventional commits' type(scope): and the older "package: subject". */
const SCOPE = /^\s*(?:[a-z]+\(([^)\n]{1,80})\)!?|([\w./ ,-]{1,60})):\s/i;
const COMMIT_TYPE = /^(?:build|chore|ci|docs|feat|fix|perf|refactor|revert|style|test|types?)$/i;
/** Each alternative starts where a word does, or a long word would be tried from each of its characters. */
const PATH = /(?<![\w@.~-])[\w@.~-]*(?:\/[\w@.~-]+)+|(?<![\w-])[\w-]+\.[a-z]{1,5}\b/gi;
/** What an apostrophe leaves of a word: "router's", "doesn't". */
const CLITIC = /(?:n['’]t|['’](?:d|ll|m|re|s|ve))(?![\p{L}\d])/giu;
const IDENTIFIER = /[A-Za-z_$][\w$]*/g;

/** Terms a query may have; further ones are dropped from its end. It bounds the work a pasted file can cause. */
const MAX_TERMS = 256;
/** Characters of a question that are read. */
const MAX_CHARS = 20_000;

/** Analyses a question. Throws a LongsightError where it has no word that could be searched for. */
export function parseQuery(question: string): Query {
  const text = question.trim().slice(0, MAX_CHARS);
  if (text === "") throw new LongsightError("bad-input", "The question is empty; ask about something in the folder.");
  const firstLine = /^.*/.exec(text)![0];
  const subject = contentTerms(firstLine);
  const terms = [...subject, ...subject, ...contentTerms(text.slice(firstLine.length))].slice(0, MAX_TERMS);
  if (terms.length === 0) {
    throw new LongsightError(
      "bad-input",
      "The question names nothing to look for; mention a function, a file or a topic.",
    );
  }
  return {
    text,
    terms,
    identifiers: identifiersIn(text),
    paths: unique([...text.matchAll(PATH)].map(([path]) => path.replace(/^\.?\/|[.:]$/g, "").toLowerCase())),
    scope: unique(contentTerms(scopeOf(firstLine))),
    mentions: {
      tests: /\b(?:tests?|tested|testing|specs?|fixtures?|mocks?|assert\w*)\b/i.test(text),
      docs: /\b(?:docs?|documentation|readme|changelog|guide|tutorial|licen[cs]e)\b/i.test(text),
      examples: /\b(?:examples?|demos?|samples?|playground|benchmarks?)\b/i.test(text),
    },
  };
}

/** The terms of a text without those that say nothing. */
export function contentTerms(text: string): string[] {
  return termsOf(text.replace(CLITIC, "")).filter((term) => !stopTerms.has(term));
}

function scopeOf(firstLine: string): string {
  const match = SCOPE.exec(firstLine);
  const scope = match?.[1] ?? match?.[2] ?? "";
  return COMMIT_TYPE.test(scope) ? "" : scope;
}

function identifiersIn(text: string): string[] {
  const quoted = [...text.matchAll(/`([^`\n]{1,200})`/g)].flatMap(([, code]) => code.match(IDENTIFIER) ?? []);
  const compound = (text.match(IDENTIFIER) ?? []).filter((name) => /[a-z\d][A-Z]|[A-Za-z]_[A-Za-z]|^__/.test(name));
  return unique([...quoted, ...compound]).slice(0, MAX_TERMS);
}

function unique<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}

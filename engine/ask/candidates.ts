/**
 * What an answer may point to: the statements of the spans that were found, a few lines each, and what speaks for each of
 * them. The pointer (pointer.ts) chooses among them; it was trained on these very numbers.
 */
import type { StoredSpan } from "../memory/catalogue-types.ts";
import { termsOf } from "../memory/terms.ts";
import { coverage, type Evidence } from "./evidence.ts";
import { isTest } from "./fusion.ts";
import { isPreamble } from "./preamble.ts";
import type { RankedSpan } from "./retrieve.ts";

/** A few lines of a span that belong together. */
export interface Unit {
  /** Which of the spans, from 0. */
  readonly span: number;
  /** Lines of the file, from 1, both included. */
  readonly startLine: number;
  readonly endLine: number;
  readonly text: string;
}

export interface Candidates {
  readonly units: readonly Unit[];
  /** [units.length, UNIT_FEATURES] */
  readonly features: Float32Array;
  /** [QUERY_FEATURES] */
  readonly query: Float32Array;
}

export const UNIT_FEATURES = 22;
export const QUERY_FEATURES = 5;

/** Lines a unit may have. */
const MAX_LINES = 3;
const COMMENT = /^\s*(?:\/\/|\/\*|\*|#(?!\w*\[)|--|"""|''')/;

/** Cuts spans into units: blank lines and the end of an indented part end one. Blank lines are in none. */
export function unitsOf(spans: readonly StoredSpan[]): Unit[] {
  return spans.flatMap((span, index) => {
    const units: Unit[] = [];
    let lines: string[] = [];
    let first = 0;
    const end = () => {
      if (lines.length === 0) return;
      const startLine = span.startLine + first;
      units.push({ span: index, startLine, endLine: startLine + lines.length - 1, text: lines.join("\n") });
      lines = [];
    };
    for (const [i, line] of span.text.split("\n").entries()) {
      const isBlank = line.trim() === "";
      if (isBlank || lines.length === MAX_LINES || (lines.length > 0 && indent(line) < indent(lines[0]))) end();
      if (isBlank) continue;
      if (lines.length === 0) first = i;
      lines.push(line);
    }
    end();
    return units;
  });
}

const indent = (line: string) => line.length - line.trimStart().length;

/** The units of the spans that were found, best span first, with their features. */
export function candidatesOf(evidence: Evidence, found: readonly RankedSpan[]): Candidates {
  const { idf, rarest, query } = evidence;
  const units = unitsOf(found.map(({ span }) => span));
  const terms = units.map(({ text }) => new Set(termsOf(text)));
  const covered = terms.map((all) => coverage(evidence, all));
  const most = Math.max(...covered, 1e-6);
  const top = found[0]?.score || 1;
  const spans = found.map(({ span, score }, index) => {
    const own = units.flatMap((unit, i) => (unit.span === index ? [i] : []));
    const all = new Set(own.flatMap((i) => [...terms[i]]));
    return {
      first: own[0],
      size: own.length,
      indent: Math.min(...own.map((i) => indent(units[i].text))),
      share: [
        coverage(evidence, all),
        score / top,
        1 / (index + 1),
        Math.tanh(score / 20),
        span.symbol === null ? 0 : coverage(evidence, new Set(termsOf(span.symbol))),
        coverage(evidence, new Set(termsOf(span.file))),
        isTest(span.file, query) ? 1 : 0,
        isPreamble(span) ? 1 : 0,
        span.symbol === null ? 0 : 1,
      ],
    };
  });
  const near = (unit: number, at: number) => (units[at]?.span === units[unit].span ? covered[at] : 0);
  const features = units.flatMap((unit, i) => {
    const { first, size, indent: least, share } = spans[unit.span];
    const place = i - first;
    const telling = [...terms[i]].reduce((max, term) => Math.max(max, idf.get(term) ?? 0), 0);
    const around = [-3, -2, -1, 0, 1, 2, 3].reduce((sum, step) => sum + near(i, i + step), 0);
    return [
      covered[i],
      covered[i] / most,
      telling / rarest,
      near(i, i - 1),
      near(i, i + 1),
      near(i, i + 2),
      around / 3,
      place === 0 ? 1 : 0,
      place / size,
      Math.min(1, size / 20),
      (unit.endLine - unit.startLine + 1) / MAX_LINES,
      Math.min(1, (indent(unit.text) - least) / 16),
      COMMENT.test(unit.text) ? 1 : 0,
      ...share,
    ];
  });
  const told = [...idf.values()].reduce((sum, weight) => sum + weight, 0);
  return {
    units,
    features: Float32Array.from(features),
    query: Float32Array.from([idf.size / 20, told / 50, most, Math.tanh(top / 20), Math.log(1 + units.length) / 6]),
  };
}

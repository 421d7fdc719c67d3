/** Finding a function by its documentation, among the documented functions of all held-out repositories. */
import { proseOf, sentencesOf } from "../../engine/ask/comments.ts";
import { cosine } from "../../engine/runtime/hybrid.ts";
import type { CodeSpan, HybridEncoder } from "../../engine/runtime/hybrid-encoder.ts";
import { syntaxOf } from "../../engine/workspace/syntax.ts";
import { bag, bm25 } from "./bm25.ts";
import type { Repository } from "./memory.ts";

export interface DocumentedFunction extends CodeSpan {
  /** The documentation's first sentence, which `text` does not hold. */
  readonly doc: string;
}

const MIN_WORDS = 3;
const MIN_CODE_CHARS = 60;
const PER_FILE = 8;

/** What the routing head's score counts beside BM25's where both are fused; from 0.3 to 1 it matters little. */
const ROUTING_WEIGHT = 0.5;

export async function documentedFunctions({ files }: Repository, limit: number): Promise<DocumentedFunction[]> {
  const found: DocumentedFunction[] = [];
  for (const { path, text } of files.values()) {
    const lines = text.split("\n");
    const functions = (await syntaxOf(path, text))?.symbols.filter(({ kind }) => /function|method/.test(kind)) ?? [];
    let n = 0;
    for (const { doc, startLine, endLine } of functions) {
      if (!doc || n === PER_FILE) continue;
      const prose = proseOf(lines.slice(doc.startLine - 1, doc.endLine).join("\n"));
      const sentence = sentencesOf(prose)[0] ?? "";
      const code = lines
        .slice(startLine - 1, endLine)
        .filter((_, i) => startLine + i < doc.startLine || startLine + i > doc.endLine)
        .join("\n");
      if (sentence.split(" ").length < MIN_WORDS || code.length < MIN_CODE_CHARS || code.includes(sentence)) continue;
      found.push({ path, text: code, doc: sentence });
      n++;
      if (found.length === limit) return found;
    }
  }
  return found;
}

/** Mean reciprocal ranks of the own function; equal scores count as the worst rank among them. */
export async function searchQuality(encoder: HybridEncoder, functions: readonly DocumentedFunction[]) {
  const landmarks = await encoder.embedSpans(functions);
  const bags = functions.map(({ path, text }) => bag(path, text));
  const sums = { routing: 0, bm25: 0, fused: 0 };
  for (const [own, { doc }] of functions.entries()) {
    const query = await encoder.embedQuestion(doc);
    const learned = landmarks.map((landmark) => cosine(landmark, query));
    const lexical = [...bm25(doc, bags)];
    const [a, b] = [standardised(learned), standardised(lexical)];
    sums.routing += 1 / ranks(learned)[own];
    sums.bm25 += 1 / ranks(lexical)[own];
    sums.fused += 1 / ranks(b.map((score, i) => score + ROUTING_WEIGHT * a[i]))[own];
  }
  const n = Math.max(functions.length, 1);
  return { n, routing: sums.routing / n, bm25: sums.bm25 / n, fused: sums.fused / n };
}

/** Scores less their mean, in standard deviations. */
function standardised(scores: readonly number[]): number[] {
  const mean = scores.reduce((sum, x) => sum + x, 0) / scores.length;
  const deviation = Math.sqrt(scores.reduce((sum, x) => sum + (x - mean) ** 2, 0) / scores.length) || 1;
  return scores.map((x) => (x - mean) / deviation);
}

/** The rank of each score from 1, the worst one among equals. */
function ranks(scores: readonly number[]): number[] {
  const order = scores.map((_, i) => i).sort((a, b) => scores[b] - scores[a]);
  const result = new Array<number>(scores.length);
  for (let at = order.length - 1, worst = order.length; at >= 0; at--) {
    if (at < order.length - 1 && scores[order[at]] !== scores[order[at + 1]]) worst = at + 1;
    result[order[at]] = worst;
  }
  return result;
}

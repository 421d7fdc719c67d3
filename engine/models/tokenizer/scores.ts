/** SentencePiece BPE: merges that follow from the scores of the tokens. */
import { damaged } from "./fields.ts";
import { MergeTable } from "./merge.ts";
import { MAX_MERGES } from "./pairs.ts";
import type { Vocabulary } from "./vocabulary.ts";

const MAX_TOKEN_LENGTH = 256;

/**
 * SentencePiece merges any two neighbours whose joined text is a token, that of the highest score first. Since every
 * intermediate result is a token as well, this is BPE over all ways to cut a token in two, ranked by score.
 * `innerChars`: characters that occur in tokens but are none; their symbols follow the vocabulary's ids.
 */
export function mergesFromScores(
  { texts, kinds, idOf }: Vocabulary,
  scores: ArrayLike<number>,
): { merges: MergeTable; innerChars: string[] } {
  const mergeable: { id: number; chars: string[] }[] = [];
  const innerSymbols = new Map<string, number>();
  const symbolOf = (text: string): number | undefined => {
    const id = idOf.get(text);
    return id !== undefined && kinds[id] === "normal" ? id : innerSymbols.get(text);
  };
  let nCuts = 0;
  texts.forEach((text, id) => {
    if (kinds[id] !== "normal" || text.length < 2 || text.length > MAX_TOKEN_LENGTH) return;
    const chars = [...text];
    for (const char of chars) {
      if (symbolOf(char) === undefined) innerSymbols.set(char, texts.length + innerSymbols.size);
    }
    nCuts += chars.length - 1;
    mergeable.push({ id, chars });
  });
  const ranks = new Map(
    [...new Set(mergeable.map(({ id }) => scores[id]))].sort((a, b) => b - a).map((s, i) => [s, i]),
  );
  if (nCuts > MAX_MERGES) throw damaged(`it has ${nCuts} merges`);
  const merges = new MergeTable(nCuts);
  for (const { id, chars } of mergeable) {
    for (let cut = 1; cut < chars.length; cut++) {
      const left = symbolOf(chars.slice(0, cut).join(""));
      const right = symbolOf(chars.slice(cut).join(""));
      if (left !== undefined && right !== undefined) merges.add(left, right, ranks.get(scores[id]) as number, id);
    }
  }
  return { merges, innerChars: [...innerSymbols.keys()] };
}

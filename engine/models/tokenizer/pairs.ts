/** Merges as the files list them: pairs of token texts, best first. */
import { shown } from "../messages.ts";
import { damaged } from "./fields.ts";
import { MergeTable } from "./merge.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** A list longer than this would not fit the merge's keys; the largest real ones have about 500,000. */
export const MAX_MERGES = 2 ** 22;

/** The table of merges "left right", or [left, right]; throws bad-model where one names what is no token. */
export function mergesFromPairs(
  { idOf }: Vocabulary,
  pairs: readonly (string | readonly [left: string, right: string])[],
): MergeTable {
  if (pairs.length > MAX_MERGES) throw damaged(`it has ${pairs.length} merges`);
  const table = new MergeTable(pairs.length);
  pairs.forEach((pair, rank) => {
    const [left, right] = typeof pair === "string" ? halves(pair) : pair;
    const leftId = idOf.get(left);
    const rightId = idOf.get(right);
    const result = idOf.get(left + right);
    if (leftId === undefined || rightId === undefined || result === undefined) {
      throw damaged(`the merge of ${shown(left)} and ${shown(right)} is of texts that are no tokens`);
    }
    table.add(leftId, rightId, rank, result);
  });
  return table;
}

function halves(pair: string): [left: string, right: string] {
  const space = pair.indexOf(" ", 1);
  return space < 0 ? [pair, ""] : [pair.slice(0, space), pair.slice(space + 1)];
}

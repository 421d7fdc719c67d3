/** How much of the line behind the cursor a suggestion replaces: the closing brackets the editor put there and the suggestion brings itself. */
import { withBlankStrings } from "./strings.ts";

const PAIRS: Record<string, string> = { ")": "(", "]": "[", "}": "{" };
const CLOSER = /^[)\]}"'`]$/;

/** The number of characters of `lineRest`, the line behind the cursor, that `text` holds again and so must replace. */
export function coveredLength(text: string, lineRest: string): number {
  const [firstLine] = text.split(/\r?\n/, 1);
  // On the lines behind the first one a quote begins a string of theirs.
  const code = firstLine + withBlankStrings(text.slice(firstLine.length)).replaceAll(/["'`]/g, " ");
  let covered = 0;
  const open: string[] = [];
  for (const character of code) {
    if (covered >= lineRest.length || !CLOSER.test(lineRest[covered])) break;
    const opener = PAIRS[character];
    if (opener && open.at(-1) === opener) open.pop();
    else if (character === lineRest[covered]) covered++;
    else if ("([{".includes(character)) open.push(character);
  }
  return covered;
}

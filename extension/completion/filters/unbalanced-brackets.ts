import { withBlankStrings } from "../strings.ts";
import type { Filter } from "./filter.ts";

const OPENER: Record<string, string> = { ")": "(", "]": "[", "}": "{" };

/**
 * Cuts a suggestion before a closing bracket that nothing around the cursor opens. Brackets in longer strings and in
 * comments count too: at worst a suggestion is shorter than it could be.
 */
export const unbalancedBrackets: Filter = (text, { prefix }) => {
  const open = openBrackets(prefix);
  // The cursor may stand in a string.
  const line = prefix.slice(prefix.lastIndexOf("\n") + 1);
  const code = withBlankStrings(line + text).slice(line.length);
  for (let at = 0; at < text.length; at++) {
    const character = code[at];
    if ("([{".includes(character)) open.push(character);
    const opener = OPENER[character];
    if (!opener) continue;
    if (open.at(-1) !== opener) {
      const kept = text.slice(0, at).trimEnd();
      return kept === "" ? undefined : kept;
    }
    open.pop();
  }
  return text;
};

/** As far back as this, in characters, brackets are looked for: a block's start may be far above. */
const LOOK_BACK = 20_000;

/**
 * The brackets still open at the cursor, outermost first. A closer closes the last of its kind and whatever was left open
 * in between; one without its opener is passed over.
 */
function openBrackets(prefix: string): string[] {
  const open: string[] = [];
  for (const character of withBlankStrings(prefix.slice(-LOOK_BACK))) {
    if ("([{".includes(character)) open.push(character);
    else if (open.includes(OPENER[character])) open.length = open.lastIndexOf(OPENER[character]);
  }
  return open;
}

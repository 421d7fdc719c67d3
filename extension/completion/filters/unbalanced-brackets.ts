import type { Filter } from "./filter.ts";

const OPENER: Record<string, string> = { ")": "(", "]": "[", "}": "{" };

/**
 * Cuts a suggestion before a closing bracket that nothing around the cursor opens. Brackets in strings count too: at
 * worst a suggestion is shorter than it could be.
 */
export const unbalancedBrackets: Filter = (text, { prefix }) => {
  const open = openBrackets(prefix);
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
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

/** The brackets still open at the cursor, outermost first. A closer without its opener is passed over. */
function openBrackets(prefix: string): string[] {
  const open: string[] = [];
  for (const character of prefix.slice(-LOOK_BACK)) {
    if ("([{".includes(character)) open.push(character);
    else if (open.length > 0 && open.at(-1) === OPENER[character]) open.pop();
  }
  return open;
}

/** What is done to every suggestion before it is shown, in order. Secrets are the engine's to withhold (engine/complete/secrets.ts). */
import { duplicateLine } from "./duplicate-line.ts";
import { empty } from "./empty.ts";
import type { Filter } from "./filter.ts";
import { repeatsItself } from "./repeats-itself.ts";
import { repeatsSuffix } from "./repeats-suffix.ts";
import { unbalancedBrackets } from "./unbalanced-brackets.ts";

const FILTERS: readonly Filter[] = [repeatsItself, duplicateLine, unbalancedBrackets, repeatsSuffix, empty];

/**
 * A suggestion that the engine believes in less than this disturbs more than it helps: of 448 held-out lines and rests of
 * lines, hiding it keeps 69 of 71 right ones and leaves out 54 % of the others.
 */
const MIN_CONFIDENCE = 0.1;

/** A completion of the engine as it may be shown; "" where nothing is left of it. */
export function suggestionOf(
  { text, confidence }: { readonly text: string; readonly confidence: number },
  place: Parameters<Filter>[1],
): string {
  if (confidence < MIN_CONFIDENCE) return "";
  let kept: string | undefined = text;
  for (const filter of FILTERS) if (kept !== undefined) kept = filter(kept, place);
  return kept ?? "";
}

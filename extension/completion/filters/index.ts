/** What is done to every suggestion before it is shown, in order. Secrets are the engine's to withhold (engine/complete/secrets.ts). */
import { duplicateLine } from "./duplicate-line.ts";
import { empty } from "./empty.ts";
import type { Filter } from "./filter.ts";
import { repeatsItself } from "./repeats-itself.ts";
import { repeatsSuffix } from "./repeats-suffix.ts";
import { unbalancedBrackets } from "./unbalanced-brackets.ts";

const FILTERS: readonly Filter[] = [repeatsItself, duplicateLine, unbalancedBrackets, repeatsSuffix, empty];

/** The suggestion as it may be shown; "" where nothing is left of it. */
export const filtered = (text: string, place: Parameters<Filter>[1]): string =>
  FILTERS.reduce<string | undefined>((kept, filter) => (kept === undefined ? undefined : filter(kept, place)), text) ??
  "";

/** What is done to every suggestion before it is shown, in order. */
import { duplicateLine } from "./duplicate-line.ts";
import { empty } from "./empty.ts";
import type { Filter } from "./filter.ts";
import { repeatsItself } from "./repeats-itself.ts";
import { repeatsSuffix } from "./repeats-suffix.ts";
import { secrets } from "./secrets.ts";
import { unbalancedBrackets } from "./unbalanced-brackets.ts";

const FILTERS: readonly Filter[] = [secrets, repeatsItself, duplicateLine, unbalancedBrackets, repeatsSuffix, empty];

/** The suggestion as it may be shown; "" where nothing is left of it. */
export const filtered = (text: string, place: Parameters<Filter>[1]): string =>
  FILTERS.reduce<string | undefined>((kept, filter) => (kept === undefined ? undefined : filter(kept, place)), text) ??
  "";

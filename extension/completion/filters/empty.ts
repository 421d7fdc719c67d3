import type { Filter } from "./filter.ts";

/** White space alone is no suggestion. */
export const empty: Filter = (text) => (text.trim() === "" ? undefined : text);

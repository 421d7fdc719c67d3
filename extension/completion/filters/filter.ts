/** A filter looks at one suggestion and returns it, a shortened one, or undefined where nothing of it is worth showing. */
import type { Place } from "../cache.ts";

export type Filter = (text: string, place: Pick<Place, "prefix" | "suffix">) => string | undefined;

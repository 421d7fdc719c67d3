import type { Filter } from "./filter.ts";

/** A piece of up to 40 characters, three of them at least said three times more, or a shorter one eight times more. */
const LOOP = /(?:([^\n]{3,40}?)\1{3,}|([^\n\s]{1,2}?)\2{8,})[^\n]{0,40}$/;

/** Drops a suggestion that ends in a loop: a model that has nothing to say says the same again and again. */
export const repeatsItself: Filter = (text) => (LOOP.test(text.trimEnd()) ? undefined : text);

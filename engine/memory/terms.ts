/**
 * Text to search terms, the one tokenisation of the lexical index: what is indexed and what is asked pass through here.
 * An identifier gives its parts, split at camel, snake and digit borders, and the whole of it without borders, so that
 * `getUserName`, `get_user_name` and "user name" meet. Every term is lower-cased and lightly stemmed; stop words stay.
 */

const WORD = /[\p{L}\p{M}\p{N}_]+/gu;
/** The parts of an identifier: an acronym (not the capital that starts the next part), a part, digits, other letters. */
const PART = /\p{Lu}+(?!\p{Ll})|\p{Lu}?[\p{Ll}\p{M}]+|\p{N}+|[\p{L}\p{M}]+/gu;
/** Scripts written without spaces: they are indexed by pairs of characters. */
const UNSPACED = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}]/u;

/** Longer words are keys, hashes and encoded data, never something one asks for. */
const MAX_WORD_CHARS = 80;

/** Words repeat: each is split once. Bounded, and emptied when full. */
const MAX_CACHED_WORDS = 200_000;
const cache = new Map<string, readonly string[]>();

/** The search terms of a text, in its order, repeats included. */
export function termsOf(text: string): string[] {
  const terms: string[] = [];
  for (const [word] of text.matchAll(WORD)) {
    if (word.length > MAX_WORD_CHARS) continue;
    for (const term of termsOfWord(word)) terms.push(term);
  }
  return terms;
}

function termsOfWord(word: string): readonly string[] {
  let terms = cache.get(word);
  if (terms) return terms;
  terms = splitWord(word);
  if (cache.size >= MAX_CACHED_WORDS) cache.clear();
  cache.set(word, terms);
  return terms;
}

function splitWord(word: string): string[] {
  const whole = word.replaceAll("_", "").normalize("NFC");
  if (whole === "") return [];
  if (UNSPACED.test(whole)) return pairs(whole.toLowerCase());
  const parts = word.normalize("NFC").match(PART) ?? [];
  const term = stem(whole.toLowerCase());
  if (parts.length < 2) return [term];
  // One letter of a longer name says nothing of its own.
  return [...parts.filter((part) => part.length > 1).map((part) => stem(part.toLowerCase())), term];
}

function pairs(word: string): string[] {
  const characters = [...word];
  if (characters.length < 2) return characters;
  return characters.slice(1).map((character, i) => characters[i] + character);
}

/** Shortest stem that is left of a word. */
const MIN_STEM_CHARS = 3;

/**
 * Light stemming: plurals as in Harman's S-stemmer ("How effective is suffixing?", 1991), then one of -ed, -ing and a
 * final -e, so that cache, caches, cached and caching are one term.
 */
export function stem(word: string): string {
  return withoutEnding(singular(word));
}

function singular(word: string): string {
  if (word.length <= MIN_STEM_CHARS) return word;
  if (word.length > 4 && word.endsWith("ies")) return `${word.slice(0, -3)}y`;
  return /[^suaiou\d]s$/.test(word) ? word.slice(0, -1) : word;
}

function withoutEnding(word: string): string {
  if (word.length <= MIN_STEM_CHARS) return word;
  if (word.length > 4 && word.endsWith("ied")) return `${word.slice(0, -3)}y`;
  const suffix = /(?:(?<!e)ed|ing)$/.exec(word)?.[0];
  if (!suffix) return word.endsWith("e") ? word.slice(0, -1) : word;
  const rest = word.slice(0, -suffix.length);
  if (rest.length < MIN_STEM_CHARS || !/[aeiouy]/.test(rest)) return word;
  return /([bdfgmnprt])\1$/.test(rest) ? rest.slice(0, -1) : rest;
}

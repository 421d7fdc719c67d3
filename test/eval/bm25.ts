/**
 * The baselines Longsight is measured against: BM25 over whole files and over spans, with its own plain word analysis
 * so that no improvement of the product changes them. k1 1.2, b 0.75 (Robertson and Zaragoza 2009), identifiers split
 * at camel and snake borders with the whole identifier kept, light stemming, path words counted three times, no stop
 * words, repeated query words counted as often as they stand there.
 */

const K1 = 1.2;
const B = 0.75;
const PATH_WEIGHT = 3;

/** A text as a bag of words. */
export interface Bag {
  readonly counts: ReadonlyMap<string, number>;
  readonly length: number;
}

/** The bag of a piece of a file, with its path's words. */
export function bag(path: string, text: string): Bag {
  const counts = new Map<string, number>();
  let length = 0;
  const add = (source: string, weight: number) => {
    for (const word of baselineWords(source)) {
      counts.set(word, (counts.get(word) ?? 0) + weight);
      length += weight;
    }
  };
  add(text, 1);
  add(path, PATH_WEIGHT);
  return { counts, length };
}

/** The BM25 score of every bag for a query, in the order of the bags. */
export function bm25(query: string, bags: readonly Bag[]): Float64Array {
  const scores = new Float64Array(bags.length);
  const meanLength = bags.reduce((sum, { length }) => sum + length, 0) / bags.length;
  const repeats = new Map<string, number>();
  for (const word of baselineWords(query)) repeats.set(word, (repeats.get(word) ?? 0) + 1);
  for (const [word, times] of repeats) {
    const having: number[] = [];
    bags.forEach(({ counts }, index) => {
      if (counts.has(word)) having.push(index);
    });
    const idf = Math.log(1 + (bags.length - having.length + 0.5) / (having.length + 0.5));
    for (const index of having) {
      const { counts, length } = bags[index];
      const count = counts.get(word) ?? 0;
      scores[index] += (times * idf * count * (K1 + 1)) / (count + K1 * (1 - B + (B * length) / meanLength));
    }
  }
  return scores;
}

const stems = new Map<string, string>();

/** The words of a text as the baselines see them: lower case, stemmed, at least two characters. */
export function baselineWords(text: string): string[] {
  const words: string[] = [];
  for (const [identifier] of text.matchAll(/[A-Za-z0-9_]+/g)) {
    const parts = identifier
      .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
      .replace(/([A-Z]+)([A-Z][a-z])/g, "$1 $2")
      .split(/[ _]+/);
    if (parts.filter(Boolean).length > 1) parts.push(identifier);
    for (const part of parts) {
      if (part.length < 2) continue;
      let word = stems.get(part);
      if (word === undefined) {
        word = stem(part.toLowerCase());
        stems.set(part, word);
      }
      if (word.length > 1) words.push(word);
    }
  }
  return words;
}

function stem(word: string): string {
  if (word.length > 4 && word.endsWith("ing")) return word.slice(0, -3);
  if (word.length > 4 && word.endsWith("ies")) return `${word.slice(0, -3)}y`;
  if (word.length > 3 && /e[ds]$/.test(word)) return word.slice(0, -2);
  if (word.length > 3 && /[^s]s$/.test(word)) return word.slice(0, -1);
  return word;
}

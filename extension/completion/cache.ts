/**
 * Completions made before, found again while the user types on, deletes or comes back. An entry answers for its own
 * place and for every place reached by typing what it suggests; the text behind the cursor and the index must be the same.
 */
import { TrieNode } from "./trie.ts";

/** A place in a text: everything before and behind the cursor. */
export interface Place {
  /** Tells documents, models and states of the index apart; completions are never shared across keys. */
  readonly key: string;
  readonly prefix: string;
  readonly suffix: string;
}

/** A completion at the place that its node's path spells. */
interface Entry {
  readonly place: Place;
  readonly text: string;
  readonly node: TrieNode<Entry>;
}

const MAX_ENTRIES = 200;

/**
 * What is left of `text`, suggested at `from`, once the user is at `to`; undefined where the user did not type along, or
 * nothing is left. Half a surrogate pair is never left over.
 */
export function remainder(from: Place, text: string, to: Place): string | undefined {
  const typed = to.prefix.length - from.prefix.length;
  if (typed < 0 || typed >= text.length || from.key !== to.key || from.suffix !== to.suffix) return undefined;
  if (/[\uDC00-\uDFFF]/.test(text[typed]) && typed > 0 && /[\uD800-\uDBFF]/.test(text[typed - 1])) return undefined;
  if (!to.prefix.endsWith(text.slice(0, typed)) || !to.prefix.startsWith(from.prefix)) return undefined;
  return text.slice(typed);
}

/**
 * The completions used last: for every text behind the cursor, document and state of the index a trie of the texts
 * before it. Whatever may answer for a place lies on the one path that its text takes.
 */
export class CompletionCache {
  /** By key and suffix. */
  readonly #tries = new Map<string, TrieNode<Entry>>();
  /** The one used last at the end. */
  readonly #entries = new Set<Entry>();

  /** How many completions are remembered. */
  get size(): number {
    return this.#entries.size;
  }

  /** An empty `text` is remembered too: nothing is to be suggested there. */
  add(place: Place, text: string): void {
    const name = nameOf(place);
    let trie = this.#tries.get(name);
    if (!trie) {
      trie = new TrieNode();
      this.#tries.set(name, trie);
    }
    const node = trie.at(place.prefix);
    if (node.value) this.#entries.delete(node.value);
    const entry = { place, text, node };
    node.value = entry;
    this.#entries.add(entry);
    if (this.#entries.size > MAX_ENTRIES) this.#removeOldest();
  }

  /** What to suggest at `place`, "" for nothing; undefined where no entry answers for it. */
  find(place: Place): string | undefined {
    const found = new Map<Entry, string>();
    for (const entry of this.#tries.get(nameOf(place))?.along(place.prefix) ?? []) {
      const isHere = entry.place.prefix.length === place.prefix.length;
      const text = entry.text === "" && isHere ? "" : remainder(entry.place, entry.text, place);
      if (text !== undefined) found.set(entry, text);
    }
    if (found.size === 0) return undefined;
    const [newest] = found.size === 1 ? found.keys() : [...this.#entries].filter((entry) => found.has(entry)).reverse();
    this.#entries.delete(newest);
    this.#entries.add(newest);
    return found.get(newest);
  }

  #removeOldest(): void {
    const [oldest] = this.#entries;
    this.#entries.delete(oldest);
    const root = oldest.node.clear();
    if (root.isEmpty) this.#tries.delete(nameOf(oldest.place));
  }
}

const nameOf = ({ key, suffix }: Place) => `${key}\n${suffix}`;

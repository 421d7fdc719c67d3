/**
 * Completions made before, found again while the user types on, deletes or comes back. An entry answers for its own
 * place and for every place reached by typing what it suggests; the text behind the cursor and the index must be the same.
 */

/** A place in a text: everything before and behind the cursor. */
export interface Place {
  /** Tells documents, models and states of the index apart; completions are never shared across keys. */
  readonly key: string;
  readonly prefix: string;
  readonly suffix: string;
}

interface Entry extends Place {
  readonly text: string;
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

/** The last completions, the one used last at the end. */
export class CompletionCache {
  #entries: Entry[] = [];

  /** An empty `text` is remembered too: nothing is to be suggested there. */
  add(place: Place, text: string): void {
    this.#entries = this.#entries.filter((entry) => !isSamePlace(entry, place));
    this.#entries.push({ ...place, text });
    if (this.#entries.length > MAX_ENTRIES) this.#entries.shift();
  }

  /** What to suggest at `place`, "" for nothing; undefined where no entry answers for it. */
  find(place: Place): string | undefined {
    for (let index = this.#entries.length - 1; index >= 0; index--) {
      const entry = this.#entries[index];
      const text = entry.text === "" && isSamePlace(entry, place) ? "" : remainder(entry, entry.text, place);
      if (text === undefined) continue;
      this.#entries.splice(index, 1);
      this.#entries.push(entry);
      return text;
    }
    return undefined;
  }

  clear(): void {
    this.#entries = [];
  }
}

function isSamePlace(a: Place, b: Place): boolean {
  return a.key === b.key && a.prefix === b.prefix && a.suffix === b.suffix;
}

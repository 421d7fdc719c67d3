/** The names that the files of a folder use, and in how many files each: what a word that has been begun may become. */

/** Shorter words are typed as quickly as they are chosen. */
const MIN_NAME = 3;

/** What is longer is data: a hash, a text in base 64. */
const MAX_NAME = 100;

/** Names are kept in groups that begin alike, so that a look at one group finds those that go on in a given way. */
const GROUP_CHARS = 2;

const NAME = /[A-Za-z_$\u00aa-\uffff][\w$\u00aa-\uffff]*/g;
const NAME_AT_END = new RegExp(`(?<![\\w$\u00aa-\uffff])${NAME.source}$`);

/** The names in a text, in its order, each as often as it stands there. */
export const namesOf = (text: string): string[] =>
  (text.match(NAME) ?? []).filter(({ length }) => length >= MIN_NAME && length <= MAX_NAME);

/** What a text ends in, if that is the beginning of a name; "" otherwise. */
export function nameBegunIn(text: string): string {
  const begun = NAME_AT_END.exec(text.slice(-MAX_NAME - 1))?.[0] ?? "";
  return begun.length > MAX_NAME ? "" : begun;
}

/** Whether a text begins inside a name. */
export const goesOnInName = (text: string): boolean => /^[\w$\u00aa-\uffff]/.test(text);

export class NameIndex {
  /** Numbers of files by name, by the names' first characters. */
  readonly #groups = new Map<string, Map<string, number>>();
  readonly #files = new Map<string, ReadonlySet<string>>();

  /** Adds a file or replaces the one of this path. */
  set(path: string, text: string): void {
    this.remove(path);
    const names = new Set(namesOf(text));
    this.#files.set(path, names);
    for (const name of names) this.#count(name, 1);
  }

  remove(path: string): void {
    for (const name of this.#files.get(path) ?? []) this.#count(name, -1);
    this.#files.delete(path);
  }

  /** Names longer than `begun` that begin with it, and their numbers of files; none where it is shorter than two characters. */
  *goingOn(begun: string): Generator<{ name: string; nFiles: number }> {
    for (const [name, nFiles] of this.#groups.get(begun.slice(0, GROUP_CHARS)) ?? []) {
      if (name.length > begun.length && name.startsWith(begun)) yield { name, nFiles };
    }
  }

  /** The number of files that use a name. */
  nFilesOf(name: string): number {
    return this.#groups.get(name.slice(0, GROUP_CHARS))?.get(name) ?? 0;
  }

  #count(name: string, change: 1 | -1): void {
    const key = name.slice(0, GROUP_CHARS);
    const group = this.#groups.get(key) ?? new Map<string, number>();
    this.#groups.set(key, group);
    const n = (group.get(name) ?? 0) + change;
    if (n > 0) group.set(name, n);
    else group.delete(name);
  }
}

/** The names that the files of a folder use, and in how many files each: what a word that has been begun may become. */

/** Shorter words are typed as quickly as they are chosen. */
const MIN_NAME = 3;

/** What is longer is data: a hash, a text in base 64. */
const MAX_NAME = 100;

/** Names are kept in groups that begin alike, so that a look at one group finds those that go on in a given way. */
const GROUP_CHARS = 2;

const NAME = /[\p{ID_Start}_$][\p{ID_Continue}$]*/gu;
const NAME_AT_END = new RegExp(`(?<![\\p{ID_Continue}$])${NAME.source}$`, "u");

/** The names in a text, in its order, each as often as it stands there. */
export const namesOf = (text: string): string[] =>
  (text.match(NAME) ?? []).filter(({ length }) => length >= MIN_NAME && length <= MAX_NAME);

/** What a text ends in, if that is the beginning of a name; "" otherwise. */
export function nameBegunIn(text: string): string {
  const begun = NAME_AT_END.exec(text.slice(-MAX_NAME - 1))?.[0] ?? "";
  return begun.length > MAX_NAME ? "" : begun;
}

/** Whether a text begins inside a name. */
export const goesOnInName = (text: string): boolean => /^[\p{ID_Continue}$]/u.test(text);

interface CountedName {
  readonly name: string;
  nFiles: number;
}

export class NameIndex {
  /** Names by their first characters and by themselves. */
  readonly #groups = new Map<string, Map<string, CountedName>>();
  readonly #files = new Map<string, readonly CountedName[]>();

  /** Adds a file or replaces the one of this path. */
  set(path: string, text: string): void {
    this.remove(path);
    this.#files.set(
      path,
      [...new Set(namesOf(text))].map((name) => this.#added(name)),
    );
  }

  remove(path: string): void {
    for (const { name } of this.#files.get(path) ?? []) this.#removed(name);
    this.#files.delete(path);
  }

  /** Names longer than `begun` that begin with it; none where it is shorter than two characters. */
  *goingOn(begun: string): Generator<Readonly<CountedName>> {
    for (const one of this.#groups.get(keyOf(begun))?.values() ?? []) {
      if (one.name.length > begun.length && one.name.startsWith(begun)) yield one;
    }
  }

  /** The number of files that use a name. */
  nFilesOf(name: string): number {
    return this.#groups.get(keyOf(name))?.get(name)?.nFiles ?? 0;
  }

  #added(name: string): CountedName {
    const key = keyOf(name);
    const group = this.#groups.get(key) ?? new Map<string, CountedName>();
    this.#groups.set(key, group);
    let known = group.get(name);
    if (!known) {
      // A part of a text keeps all of it in memory; this is a copy.
      const copy = Buffer.from(name).toString();
      known = { name: copy, nFiles: 0 };
      group.set(copy, known);
    }
    known.nFiles++;
    return known;
  }

  #removed(name: string): void {
    const group = this.#groups.get(keyOf(name));
    const known = group?.get(name);
    if (known && --known.nFiles === 0) group?.delete(name);
  }
}

const keyOf = (name: string) => name.slice(0, GROUP_CHARS);

/**
 * Which entries of a folder are ignored, with git's own semantics (gitignore(5)): of the files that say something about
 * an entry the strongest one decides, and in it the last pattern that matches. `.longsightignore` files have the same
 * syntax and are stronger than all of git's; next come `.gitignore` files, the deepest first, then the repository's
 * info/exclude, then core.excludesFile.
 */
import { closeSync, constants, openSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import ignore, { type Ignore } from "ignore";
import { ignoreSettings, repositoryOf } from "./git.ts";

/**
 * Patterns with more "**" than this are left out: matching them may take time that grows with the depth to this power,
 * and nobody writes them in earnest.
 */
const MAX_GLOBSTARS = 4;

/** One ignore file, seen from the folder whose entries are being judged. */
interface Rules {
  readonly matcher: Ignore;
  /** From the folder the patterns are relative to down to the judged one: "" or "a/b/". */
  readonly prefix: string;
}

/** The ignore rules that hold in one folder. */
export class IgnoreScope {
  /** Strongest first. */
  readonly #own: readonly Rules[];
  readonly #git: readonly Rules[];
  readonly #ignoreCase: boolean;

  private constructor(own: readonly Rules[], git: readonly Rules[], ignoreCase: boolean) {
    this.#own = own;
    this.#git = git;
    this.#ignoreCase = ignoreCase;
  }

  /** The rules of a folder, with those of the repository around it. */
  static of(folder: string): IgnoreScope {
    const repository = repositoryOf(folder);
    const settings = ignoreSettings(repository?.commonDir);
    const start = repository?.root ?? folder;
    let scope = IgnoreScope.#atRoot(start, [], repository?.commonDir, settings.ignoreCase, settings.excludesFile);
    let path = start;
    for (const name of relative(start, folder).split(sep).filter(Boolean)) {
      path = join(path, name);
      // Who opens an ignored folder wants to see what is in it.
      if (scope.ignores(name, true)) return IgnoreScope.#atRoot(folder, [], undefined, settings.ignoreCase, "");
      scope = scope.enter(name, path, false);
    }
    return scope;
  }

  static #atRoot(
    root: string,
    own: readonly Rules[],
    commonDir: string | undefined,
    ignoreCase: boolean,
    excludesFile: string,
  ): IgnoreScope {
    const weakest = [commonDir ? join(commonDir, "info", "exclude") : "", excludesFile];
    const git = weakest.flatMap((path) => (path === "" ? [] : rulesIn(path, ignoreCase, true)));
    return new IgnoreScope(own, git, ignoreCase).#withFilesIn(root);
  }

  #withFilesIn(folder: string): IgnoreScope {
    const own = rulesIn(join(folder, ".longsightignore"), this.#ignoreCase, false);
    const git = rulesIn(join(folder, ".gitignore"), this.#ignoreCase, false);
    if (own.length === 0 && git.length === 0) return this;
    return new IgnoreScope([...own, ...this.#own], [...git, ...this.#git], this.#ignoreCase);
  }

  /** Whether an entry of this folder is ignored. */
  ignores(name: string, isFolder: boolean): boolean {
    const suffix = bytesOf(isFolder ? `${name}/` : name);
    for (const rules of [...this.#own, ...this.#git]) {
      const { ignored, unignored } = rules.matcher.test(rules.prefix + suffix);
      if (ignored || unignored) return ignored;
    }
    return false;
  }

  /**
   * The rules that hold in a folder of this one. In a nested repository git's rules start anew: git in the outer one
   * does not look into it, git in the inner one does not look out of it.
   */
  enter(name: string, path: string, isRepository: boolean): IgnoreScope {
    const inside = (rules: readonly Rules[]) => rules.map((list) => descend(list, name, this.#ignoreCase));
    if (isRepository) {
      const commonDir = repositoryOf(path)?.commonDir;
      const settings = ignoreSettings(commonDir);
      return IgnoreScope.#atRoot(path, inside(this.#own), commonDir, settings.ignoreCase, settings.excludesFile);
    }
    return new IgnoreScope(inside(this.#own), inside(this.#git), this.#ignoreCase).#withFilesIn(path);
  }
}

/** Git matches bytes, not characters: names and patterns are compared as strings with one character for each byte. */
function bytesOf(name: string): string {
  return Buffer.from(name).toString("latin1");
}

function descend({ matcher, prefix }: Rules, name: string, ignoreCase: boolean): Rules {
  const folder = `${prefix}${bytesOf(name)}/`;
  if (!matcher.test(folder).ignored) return { matcher, prefix: folder };
  // A stronger file lets this folder in, so these patterns must judge its entries one by one: `ignore` would take them
  // for ignored with their folder.
  const exactly = folder.replace(/[\\*?[\] !#]/g, "\\$&");
  return { matcher: ignore({ ignoreCase }).add(matcher).add(`!/${exactly}`), prefix: folder };
}

/** The rules of one ignore file, none where there is no such file. Like git, ignore files inside are not followed as links. */
function rulesIn(path: string, ignoreCase: boolean, followLinks: boolean): Rules[] {
  let text: string;
  try {
    const file = openSync(path, constants.O_RDONLY | (followLinks ? 0 : (constants.O_NOFOLLOW ?? 0)));
    try {
      text = readFileSync(file, "latin1").replace(/^\xef\xbb\xbf/, "");
    } finally {
      closeSync(file);
    }
  } catch {
    return [];
  }
  const patterns = text.split("\n").filter((line) => (line.match(/\*\*/g)?.length ?? 0) <= MAX_GLOBSTARS);
  return [{ matcher: ignore({ ignoreCase }).add(patterns.join("\n")), prefix: "" }];
}

/**
 * What another file is to the file being completed, as the default model was trained to be told
 * (engine/training/imports.py): imports are matched by the last part of the module's path, the nearest folder first.
 */
import { languageName } from "../workspace/languages.ts";

/** Of relative paths only: a package is not part of the repository. */
const SCRIPT = /(?:from|require\(|import)\s*\(?\s*['"](\.[^'"]+)['"]/gm;
const PATTERNS: Readonly<Record<string, RegExp>> = {
  python: /^\s*from\s+([\w.]+)\s+import|^\s*import\s+([\w.]+)/gm,
  typescript: SCRIPT,
  rust: /^\s*(?:pub\s+)?(?:use\s+(?:crate|super|self)((?:::\w+)+)|mod\s+(\w+);)/gm,
  java: /^import\s+(?:static\s+)?([\w.]+);/gm,
  cpp: /^\s*#\s*include\s+"([^"]+)"/gm,
};
const EXTENSION = /\.(?:js|ts|jsx|tsx|mjs|h|hpp)$/;
/** Files that are imported by their folder's name. */
const FOLDER_FILES = new Set(["index", "__init__", "mod"]);

/** Languages that import each other's files have one name. */
function familyOf(path: string): string {
  const language = languageName(path) ?? "";
  return language === "tsx" || language === "javascript" ? "typescript" : language;
}

/** The folder of a path, "" at the top. */
export const folderOf = (path: string) => path.slice(0, Math.max(path.lastIndexOf("/"), 0));

function stemOf(path: string): string {
  const parts = path.split("/");
  const name = parts[parts.length - 1].split(".")[0];
  return FOLDER_FILES.has(name) && parts.length > 1 ? parts[parts.length - 2] : name;
}

/** The names a text imports. */
function importedStems(family: string, text: string): Set<string> {
  const found = new Set<string>();
  const separator = ["rust", "typescript", "cpp"].includes(family) ? /::|\// : /\./;
  for (const match of text.matchAll(PATTERNS[family] ?? /$^/g)) {
    const name = match.slice(1).find((group) => group) ?? "";
    const parts = name.replace(EXTENSION, "").replace(/\/+$/, "").split(separator);
    const named = parts.filter((part) => !/^\.*$/.test(part));
    for (const part of named.slice(family === "rust" ? -2 : -1)) found.add(part);
  }
  return found;
}

function sharedLength(a: string, b: string): number {
  let i = 0;
  while (i < a.length && a[i] === b[i]) i++;
  return i;
}

/** The files of a repository by the name they are imported by. */
export class ImportNames {
  readonly #byStem: ReadonlyMap<string, readonly string[]>;

  constructor(paths: Iterable<string>) {
    this.#byStem = Map.groupBy(paths, stemOf);
  }

  /** The files that the file at `path` with this text seems to import, at most one a name. */
  importedBy(path: string, text: string): Set<string> {
    const family = familyOf(path);
    const imported = new Set<string>();
    for (const stem of importedStems(family, text)) {
      const candidates = (this.#byStem.get(stem) ?? []).filter((one) => one !== path && familyOf(one) === family);
      const best = candidates.reduce<string | undefined>(
        (a, b) => (a !== undefined && sharedLength(a, path) >= sharedLength(b, path) ? a : b),
        undefined,
      );
      if (best !== undefined) imported.add(best);
    }
    return imported;
  }
}

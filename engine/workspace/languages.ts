/** The languages whose syntax is known: which files are theirs, how they write comments, which grammar parses them. */
import { QUERIES } from "./symbol-queries.ts";

export interface Language {
  /** The grammar's name in @vscode/tree-sitter-wasm. */
  readonly name: string;
  /** tree-sitter query: a match captures the definition under its kind, and its name as @name. */
  readonly query: string;
  /** How a line starts that is a comment or an attribute of what follows. */
  readonly lineComment: RegExp | null;
  /** Whether comments are written between slash-star and star-slash. */
  readonly blockComment: boolean;
}

const SLASHES = /^\s*\/\//;
const HASH = /^\s*#/;

function language(name: string, lineComment: RegExp | null, blockComment: boolean): Language {
  return { name, query: QUERIES[name], lineComment, blockComment };
}

const bash = language("bash", HASH, false);
const cSharp = language("c-sharp", SLASHES, true);
const cpp = language("cpp", SLASHES, true);
const css = language("css", null, true);
const go = language("go", SLASHES, true);
const ini = language("ini", /^\s*[;#]/, false);
const java = language("java", SLASHES, true);
const javascript = language("javascript", SLASHES, true);
const php = language("php", /^\s*(\/\/|#)/, true);
const powershell = language("powershell", HASH, false);
const python = language("python", HASH, false);
const regex = language("regex", null, false);
const ruby = language("ruby", HASH, false);
const rust = language("rust", /^\s*(\/\/(?!!)|#\[)/, true);
const tsx = language("tsx", SLASHES, true);
const typescript = language("typescript", SLASHES, true);

const BY_EXTENSION: Record<string, Language> = {
  bash,
  bats: bash,
  sh: bash,
  zsh: bash,
  cs: cSharp,
  c: cpp,
  cc: cpp,
  cpp,
  cu: cpp,
  cxx: cpp,
  h: cpp,
  hh: cpp,
  hpp: cpp,
  hxx: cpp,
  ino: cpp,
  css,
  go,
  cfg: ini,
  ini,
  properties: ini,
  java,
  cjs: javascript,
  js: javascript,
  jsx: javascript,
  mjs: javascript,
  php,
  ps1: powershell,
  psd1: powershell,
  psm1: powershell,
  py: python,
  pyi: python,
  regex,
  gemspec: ruby,
  rake: ruby,
  rb: ruby,
  ru: ruby,
  rs: rust,
  tsx,
  cts: typescript,
  mts: typescript,
  ts: typescript,
};

const BY_NAME: Record<string, Language> = {
  ".bashrc": bash,
  ".editorconfig": ini,
  ".gitconfig": ini,
  ".gitmodules": ini,
  ".npmrc": ini,
  ".profile": bash,
  ".zshrc": bash,
  Brewfile: ruby,
  Gemfile: ruby,
  Rakefile: ruby,
  Vagrantfile: ruby,
};

/** Endings of files by the editor's names of their languages. */
const ENDINGS: Record<string, string> = {
  shellscript: "sh",
  csharp: "cs",
  c: "c",
  cpp: "cpp",
  css: "css",
  go: "go",
  ini: "ini",
  java: "java",
  javascript: "js",
  javascriptreact: "jsx",
  php: "php",
  powershell: "ps1",
  python: "py",
  ruby: "rb",
  rust: "rs",
  typescript: "ts",
  typescriptreact: "tsx",
};

const MARKDOWN = /\.(?:md|mdx|markdown)$/i;

/** The language of a file by its name, undefined where its syntax is not known. */
export function languageOf(path: string): Language | undefined {
  const name = path.slice(path.lastIndexOf("/") + 1);
  if (Object.hasOwn(BY_NAME, name)) return BY_NAME[name];
  const extension = /\.([^.]+)$/.exec(name)?.[1].toLowerCase() ?? "";
  return Object.hasOwn(BY_EXTENSION, extension) ? BY_EXTENSION[extension] : undefined;
}

/**
 * The path that a text of this language would have in a file: its own where that tells a language, as a notebook's and that of
 * a text without a file do not.
 */
export function pathInLanguage(path: string, languageId: string | undefined): string {
  if (languageId === undefined || !Object.hasOwn(ENDINGS, languageId) || languageOf(path)) return path;
  return `${path.replace(/\.ipynb$/, "")}.${ENDINGS[languageId]}`;
}

/** Whether a file is Markdown, which has headings in place of symbols. */
export function isMarkdown(path: string): boolean {
  return MARKDOWN.test(path);
}

/** The name under which a file's language is stored: one of the grammars, "markdown", or null for plain text. */
export function languageName(path: string): string | null {
  return isMarkdown(path) ? "markdown" : (languageOf(path)?.name ?? null);
}

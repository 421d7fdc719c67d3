/** The tree-sitter parsers, each loaded when the first file needs it. */
import { fileURLToPath } from "node:url";
import { Parser, Language as TreeSitterLanguage } from "web-tree-sitter";
import type { Language } from "./languages.ts";

export interface Grammar {
  readonly language: TreeSitterLanguage;
  readonly parser: Parser;
}

let started: Promise<void> | undefined;
const loading = new Map<string, Promise<Grammar>>();
const loaded = new Map<string, Grammar>();

/** A language's grammar; files of the package that cannot be read are an error. */
export function grammarOf({ name }: Language): Promise<Grammar> {
  let grammar = loading.get(name);
  if (!grammar) {
    grammar = load(name);
    loading.set(name, grammar);
  }
  return grammar;
}

/** A language's grammar if it has been loaded; otherwise it is from now on, for the next time. */
export function grammarAtHand(language: Language): Grammar | undefined {
  // Who needs it tells of the failure; who does without it does not.
  if (!loaded.has(language.name)) void grammarOf(language).catch(() => {});
  return loaded.get(language.name);
}

async function load(name: string): Promise<Grammar> {
  started ??= Parser.init();
  await started;
  const file = import.meta.resolve(`@vscode/tree-sitter-wasm/wasm/tree-sitter-${name}.wasm`);
  const language = await TreeSitterLanguage.load(fileURLToPath(file));
  const parser = new Parser();
  parser.setLanguage(language);
  const grammar = { language, parser };
  loaded.set(name, grammar);
  return grammar;
}

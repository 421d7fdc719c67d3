/**
 * Just enough of the editor's API to run parts of the extension without an editor. `editor()` is called before the part is
 * imported, which has to be done dynamically: `await import(...)`.
 */
import { registerHooks } from "node:module";
import { join, relative } from "node:path";
import type * as vscode from "vscode";
import type { TextDocument } from "./text-document.ts";

type Listener = (value: unknown) => void;

export interface TextChange {
  readonly rangeOffset: number;
  readonly rangeLength: number;
  readonly text: string;
}

export interface Editor {
  /** By their full names. */
  readonly settings: Map<string, unknown>;
  readonly logged: string[];
  /** Each message that asks, with the actions it offers. */
  readonly asked: string[][];
  /** The action that is chosen. */
  choice: string | undefined;
  /** Each command that was run, with its arguments. */
  readonly executed: unknown[][];
  /** The folder that all files lie in. */
  folder: vscode.WorkspaceFolder | undefined;
  /** The document being typed into. */
  active: TextDocument | undefined;
  /** The cursor's offset in it. */
  cursor: number;
  /** Tells of a change of a document. */
  changed(event: { document: TextDocument; contentChanges: readonly TextChange[] }): void;
  /** Moves the cursor. */
  move(offset: number): void;
}

const documents = { changed: (_event: unknown) => {}, moved: () => {} };
const state: Editor = {
  settings: new Map(),
  logged: [],
  asked: [],
  choice: undefined,
  executed: [],
  folder: undefined,
  active: undefined,
  cursor: 0,
  changed: (event) => documents.changed(event),
  move: (offset) => {
    state.cursor = offset;
    documents.moved();
  },
};
const { settings } = state;
const note = (line: unknown) => void state.logged.push(line instanceof Error ? line.message : String(line));

class EventEmitter {
  readonly #listeners = new Set<Listener>();
  event = (listener: Listener) => {
    this.#listeners.add(listener);
    return { dispose: () => this.#listeners.delete(listener) };
  };
  fire(value: unknown): void {
    for (const listener of this.#listeners) listener(value);
  }
  dispose(): void {
    this.#listeners.clear();
  }
}

export class Position {
  readonly line: number;
  readonly character: number;
  constructor(line: number, character: number) {
    this.line = line;
    this.character = character;
  }
  translate(lines: number, characters: number): Position {
    return new Position(this.line + lines, this.character + characters);
  }
}

export class Range {
  readonly start: Position;
  readonly end: Position;
  constructor(start: Position, end: Position) {
    this.start = start;
    this.end = end;
  }
}

class RelativePattern {}

class InlineCompletionItem {
  readonly insertText: string;
  readonly range: Range;
  constructor(insertText: string, range: Range) {
    this.insertText = insertText;
    this.range = range;
  }
}

const textChanges = new EventEmitter();
const selections = new EventEmitter();
documents.changed = (event) => textChanges.fire(event);
documents.moved = () => selections.fire(undefined);

const ask = async (...parts: string[]) => {
  state.asked.push(parts);
  return state.choice;
};

const uri = (fsPath: string) => ({ scheme: "file", fsPath, path: fsPath, toString: () => `file://${fsPath}` });
const nothing = () => ({ dispose: () => {} });
const watcher = () => ({ onDidChange: nothing, onDidCreate: nothing, onDidDelete: nothing, ...nothing() });

const api = {
  ...{ EventEmitter, Position, Range, RelativePattern, InlineCompletionItem },
  InlineCompletionTriggerKind: { Invoke: 0, Automatic: 1 },
  Uri: { file: uri, joinPath: ({ fsPath }: { fsPath: string }, ...parts: string[]) => uri(join(fsPath, ...parts)) },
  l10n: { t: (text: string, ...values: unknown[]) => text.replace(/\{(\d+)\}/g, (_, i) => String(values[Number(i)])) },
  workspace: {
    getConfiguration: (section: string) => ({
      get: (key: string, fallback: unknown) =>
        settings.has(`${section}.${key}`) ? settings.get(`${section}.${key}`) : fallback,
    }),
    asRelativePath: ({ path }: { path: string }) =>
      state.folder ? relative(state.folder.uri.fsPath, path).replaceAll("\\", "/") : path,
    createFileSystemWatcher: watcher,
    getWorkspaceFolder: () => state.folder,
    onDidChangeTextDocument: textChanges.event,
    notebookDocuments: [],
  },
  languages: { registerInlineCompletionItemProvider: nothing },
  commands: { registerCommand: nothing, executeCommand: async (...call: unknown[]) => void state.executed.push(call) },
  window: {
    get activeTextEditor() {
      const { active, cursor } = state;
      return active && { document: active, selection: { active: active.positionAt(cursor) } };
    },
    onDidChangeTextEditorSelection: selections.event,
    onDidChangeActiveTextEditor: nothing,
    createOutputChannel: () => ({ info: note, warn: note, error: note, show: () => {}, dispose: () => {} }),
    showInformationMessage: ask,
    showWarningMessage: ask,
    showErrorMessage: ask,
  },
};

/** Has "vscode" resolve to the editor of this file. */
export function editor(): Editor {
  const names = Object.keys(api).join(", ");
  const source = `const { ${names} } = globalThis.longsightEditor; export { ${names} };`;
  Object.assign(globalThis, { longsightEditor: api });
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === "vscode"
        ? { url: `data:text/javascript,${encodeURIComponent(source)}`, shortCircuit: true }
        : next(specifier, context),
  });
  return state;
}

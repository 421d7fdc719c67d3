/**
 * Just enough of the editor's API to run parts of the extension without an editor. `editor()` is called before the part is
 * imported, which has to be done dynamically: `await import(...)`.
 */
import { registerHooks } from "node:module";
import { join } from "node:path";

type Listener = (value: unknown) => void;

export interface Editor {
  /** By their full names. */
  readonly settings: Map<string, unknown>;
  readonly logged: string[];
  /** Each message that asks, with the actions it offers. */
  readonly asked: string[][];
  /** The action that is chosen. */
  choice: string | undefined;
}

const state: Editor = { settings: new Map(), logged: [], asked: [], choice: undefined };
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

class Position {
  readonly line: number;
  readonly character: number;
  constructor(line: number, character: number) {
    this.line = line;
    this.character = character;
  }
}

class Range {
  readonly start: Position;
  readonly end: Position;
  constructor(start: Position, end: Position) {
    this.start = start;
    this.end = end;
  }
}

class RelativePattern {}

const uri = (fsPath: string) => ({ scheme: "file", fsPath, path: fsPath, toString: () => `file://${fsPath}` });
const nothing = () => ({ dispose: () => {} });
const watcher = () => ({ onDidChange: nothing, onDidCreate: nothing, onDidDelete: nothing, ...nothing() });

const vscode = {
  ...{ EventEmitter, Position, Range, RelativePattern },
  Uri: { file: uri, joinPath: ({ fsPath }: { fsPath: string }, ...parts: string[]) => uri(join(fsPath, ...parts)) },
  l10n: { t: (text: string, ...values: unknown[]) => text.replace(/\{(\d+)\}/g, (_, i) => String(values[Number(i)])) },
  workspace: {
    getConfiguration: (section: string) => ({
      get: (key: string, fallback: unknown) =>
        settings.has(`${section}.${key}`) ? settings.get(`${section}.${key}`) : fallback,
    }),
    asRelativePath: ({ path }: { path: string }) => path,
    createFileSystemWatcher: watcher,
    getWorkspaceFolder: () => undefined,
    notebookDocuments: [],
  },
  window: {
    createOutputChannel: () => ({ info: note, warn: note, error: note, show: () => {}, dispose: () => {} }),
    showInformationMessage: async (...parts: string[]) => {
      state.asked.push(parts);
      return state.choice;
    },
  },
};

/** Has "vscode" resolve to the editor of this file. */
export function editor(): Editor {
  const names = Object.keys(vscode).join(", ");
  const source = `const { ${names} } = globalThis.longsightEditor; export { ${names} };`;
  Object.assign(globalThis, { longsightEditor: vscode });
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === "vscode"
        ? { url: `data:text/javascript,${encodeURIComponent(source)}`, shortCircuit: true }
        : next(specifier, context),
  });
  return state;
}

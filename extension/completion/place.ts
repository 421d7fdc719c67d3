/** What the engine is told of a cursor: the text around it, in files, untitled documents and notebook cells alike. */
import * as vscode from "vscode";

/** Characters kept on each side: more than the engine's prompt holds, and little to send. */
const PREFIX_CHARS = 24_000;
const SUFFIX_CHARS = 6_000;

export interface CursorText {
  /** The workspace folder that holds the file, undefined for files outside every folder. */
  readonly folder: string | undefined;
  readonly path: string;
  /** The file's line that the prefix begins on, from 1. */
  readonly startLine: number;
  readonly prefix: string;
  readonly suffix: string;
}

/** Documents that are somebody's code; the others (output, diffs, commit messages' views) are left alone. */
const SCHEMES = new Set(["file", "untitled", "vscode-notebook-cell", "vscode-remote", "vscode-userdata"]);
/** Files that hold secrets by their nature. */
const SECRET_FILE = /(^|[\\/])(\.env(\..+)?|\.netrc|\.npmrc|\.pypirc|id_[a-z0-9]+|.*\.(pem|key|p12|pfx|keystore))$/i;

export function isCompletable(document: vscode.TextDocument): boolean {
  return SCHEMES.has(document.uri.scheme) && !SECRET_FILE.test(document.uri.path);
}

/**
 * The text around `position`. Where the suggest widget is open, its selected entry counts as already inserted, as the
 * editor demands. The start of the prefix moves in big steps only, so that typing leaves it the same.
 */
export function cursorText(
  document: vscode.TextDocument,
  position: vscode.Position,
  selected?: vscode.SelectedCompletionInfo,
): CursorText {
  const text = document.getText();
  const at = document.offsetAt(selected?.range.start ?? position);
  const end = document.offsetAt(selected?.range.end ?? position);
  const cell = notebookAround(document);
  const prefix = cell.before + text.slice(0, at) + (selected?.text ?? "");
  const suffix = text.slice(end) + cell.after;
  const start = cut(prefix);
  const isFile = document.uri.scheme === "file";
  return {
    folder: isFile ? vscode.workspace.getWorkspaceFolder(document.uri)?.uri.fsPath : undefined,
    path: vscode.workspace.asRelativePath(document.uri, false),
    startLine: prefix.slice(0, start).split("\n").length,
    prefix: prefix.slice(start),
    suffix: suffix.slice(0, SUFFIX_CHARS),
  };
}

/** Where the kept part of a long prefix begins: at a line's start, on a grid. */
function cut(prefix: string): number {
  if (prefix.length <= PREFIX_CHARS) return 0;
  const grid = PREFIX_CHARS / 4;
  const from = Math.ceil((prefix.length - PREFIX_CHARS) / grid) * grid;
  return prefix.indexOf("\n", from) + 1 || from;
}

/** The code cells before and behind the one edited; empty texts outside notebooks. */
function notebookAround(document: vscode.TextDocument): { before: string; after: string } {
  const notebook =
    document.uri.scheme === "vscode-notebook-cell"
      ? vscode.workspace.notebookDocuments.find((one) => one.getCells().some((cell) => cell.document === document))
      : undefined;
  if (!notebook) return { before: "", after: "" };
  const cells = notebook.getCells().filter(({ kind }) => kind === vscode.NotebookCellKind.Code);
  const at = cells.findIndex((cell) => cell.document === document);
  const join = (some: readonly vscode.NotebookCell[]) => some.map((cell) => cell.document.getText());
  return {
    before: join(cells.slice(0, at))
      .map((text) => `${text}\n\n`)
      .join(""),
    after: join(cells.slice(at + 1))
      .map((text) => `\n\n${text}`)
      .join(""),
  };
}

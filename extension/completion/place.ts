/** What the engine is told of a cursor: the text around it, in files, untitled documents and notebook cells alike. */
import * as vscode from "vscode";

/** Characters kept on each side: more than the engine's prompt holds, and little to send. */
const PREFIX_CHARS = 24_000;
const SUFFIX_CHARS = 6_000;

export interface CursorText {
  /** The workspace folder that holds the file, undefined for files outside every folder. */
  readonly folder: string | undefined;
  readonly path: string;
  readonly languageId: string;
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
  const start = selected?.range.start ?? position;
  const end = selected?.range.end ?? position;
  const cell = notebookAround(document);
  // Of a long document only what is kept is read: for the whole text the editor joins all lines, at every key.
  const from = gridStart(document.offsetAt(start));
  const read = document.getText(new vscode.Range(document.positionAt(from), start)) + (selected?.text ?? "");
  const prefix = from === 0 ? cell.before + read : read;
  const skipped = from === 0 ? gridStart(prefix.length) : 0;
  const isCut = from > 0 || skipped > 0;
  const kept = isCut ? prefix.indexOf("\n", skipped) + 1 || skipped : 0;
  const until = document.positionAt(document.offsetAt(end) + SUFFIX_CHARS);
  const suffix = document.getText(new vscode.Range(end, until)) + cell.after;
  const file = cell.notebook ?? document.uri;
  return {
    folder: file.scheme === "file" ? vscode.workspace.getWorkspaceFolder(file)?.uri.fsPath : undefined,
    path: vscode.workspace.asRelativePath(file, false),
    languageId: document.languageId,
    startLine: (from > 0 ? document.positionAt(from).line : 0) + prefix.slice(0, kept).split("\n").length,
    prefix: prefix.slice(kept),
    suffix: suffix.slice(0, SUFFIX_CHARS),
  };
}

/** From where on the text in front of a cursor is kept, before it is cut at a line's start: on a grid. */
function gridStart(length: number): number {
  const grid = PREFIX_CHARS / 4;
  return Math.max(0, Math.ceil((length - PREFIX_CHARS) / grid) * grid);
}

interface CellsAround {
  readonly notebook?: vscode.Uri;
  readonly before: string;
  readonly after: string;
}

/** The code cells before and behind the one edited; empty texts outside notebooks. */
function notebookAround(document: vscode.TextDocument): CellsAround {
  const notebook =
    document.uri.scheme === "vscode-notebook-cell"
      ? vscode.workspace.notebookDocuments.find((one) => one.getCells().some((cell) => cell.document === document))
      : undefined;
  if (!notebook) return { before: "", after: "" };
  const cells = notebook.getCells().filter(({ kind }) => kind === vscode.NotebookCellKind.Code);
  const at = cells.findIndex((cell) => cell.document === document);
  const join = (some: readonly vscode.NotebookCell[]) => some.map((cell) => cell.document.getText());
  return {
    notebook: notebook.uri,
    before: join(cells.slice(0, at))
      .map((text) => `${text}\n\n`)
      .join(""),
    after: join(cells.slice(at + 1))
      .map((text) => `\n\n${text}`)
      .join(""),
  };
}

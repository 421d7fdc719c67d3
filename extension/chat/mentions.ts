/** What may follow an "@" in the question box: the selection, files, folders and symbols that fit what was typed. */
import * as vscode from "vscode";
import { requests } from "../../engine/protocol.ts";
import type { Mention } from "../../webview/messages.ts";
import type { EngineHost } from "../engine-host.ts";
import type { FolderIndex } from "../workspace/folder-index.ts";
import { fits, foldersOf, rank } from "./mention-rank.ts";

const MAX_OFFERED = 12;
const MAX_LISTED = 2000;

/** The mentions that fit `query`, best first. */
export async function findMentions(index: FolderIndex, query: string, engine: EngineHost): Promise<Mention[]> {
  const selection = selectionMention(index);
  const [paths, symbols] = await Promise.all([pathsOf(index, query), symbolsOf(index, query, engine)]);
  const files = paths.map((path): Mention => ({ kind: "file", label: path, path }));
  const folders = foldersOf(paths).map((path): Mention => ({ kind: "folder", label: path, path }));
  const fitting = [...files, ...folders, ...symbols].filter(({ label }) => fits(query, label));
  fitting.sort((a, b) => rank(query, a.label) - rank(query, b.label) || a.label.length - b.label.length);
  const first = selection && fits(query, "selection") ? [selection] : [];
  return [...first, ...fitting].slice(0, MAX_OFFERED);
}

/** The text selected in the editor, undefined where nothing is or it lies outside the folder. */
export function selectionMention(index: FolderIndex): Mention | undefined {
  const editor = vscode.window.activeTextEditor ?? vscode.window.visibleTextEditors[0];
  if (!editor || editor.selection.isEmpty) return undefined;
  const { document, selection } = editor;
  if (vscode.workspace.getWorkspaceFolder(document.uri)?.uri.toString() !== index.folder.uri.toString())
    return undefined;
  const path = vscode.workspace.asRelativePath(document.uri, false);
  const label = `${path}:${selection.start.line + 1}-${selection.end.line + 1}`;
  return { kind: "selection", label, path, text: document.getText(selection) };
}

async function pathsOf({ folder }: FolderIndex, query: string): Promise<string[]> {
  const name = (query.split("/").at(-1) ?? "").replaceAll(/[[\]{}*?!\\]/g, "?");
  // Files of that name, and those in folders of that name.
  const pattern = new vscode.RelativePattern(folder, name === "" ? "**/*" : `{**/*${name}*,**/*${name}*/**}`);
  const found = await vscode.workspace.findFiles(pattern, undefined, MAX_LISTED);
  return found.map((uri) => vscode.workspace.asRelativePath(uri, false));
}

async function symbolsOf({ folder }: FolderIndex, query: string, engine: EngineHost): Promise<Mention[]> {
  if (query.length < 2) return [];
  const params = { folder: folder.uri.fsPath, part: query, limit: MAX_OFFERED };
  const found = await engine.ask(requests.symbols, params).catch(() => []);
  return found.map(({ name, file }) => ({ kind: "symbol", label: name, path: file }));
}

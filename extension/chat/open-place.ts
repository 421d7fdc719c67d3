/** Shows the lines a citation names. */
import * as vscode from "vscode";

export interface CitedPlace {
  /** Path below the folder, with forward slashes. */
  readonly file: string;
  /** From 1, both included. */
  readonly startLine: number;
  readonly endLine: number;
}

export async function openPlace(folder: vscode.Uri, place: CitedPlace): Promise<void> {
  const isOurs = vscode.workspace.workspaceFolders?.some(({ uri }) => uri.toString() === folder.toString());
  const uri = vscode.Uri.joinPath(folder, place.file);
  if (!isOurs || !uri.path.startsWith(`${folder.path}/`)) return;
  try {
    await vscode.workspace.fs.stat(uri);
  } catch {
    const sentence = vscode.l10n.t("{0} is not there any more; ask again for where it is now.", place.file);
    void vscode.window.showWarningMessage(sentence);
    return;
  }
  const document = await vscode.workspace.openTextDocument(uri);
  const line = (number: number) => document.lineAt(Math.max(1, Math.min(number, document.lineCount)) - 1);
  const selection = new vscode.Range(line(place.startLine).range.start, line(place.endLine).range.end);
  const editor = await vscode.window.showTextDocument(document, { selection, preview: true });
  editor.revealRange(selection, vscode.TextEditorRevealType.InCenterIfOutsideViewport);
}

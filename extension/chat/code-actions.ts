/** What can be done with a block of code from an answer: insert it, or compare it with the editor and take it over. */
import * as vscode from "vscode";

const SCHEME = "longsight-proposal";
const APPLY_COMMAND = "longsight.applyProposal";

/** A change to a document that the user has not yet agreed to. */
interface Proposal {
  readonly target: vscode.Uri;
  readonly range: vscode.Range;
  readonly code: string;
  /** The whole document as it would be. */
  readonly text: string;
}

export class CodeActions implements vscode.TextDocumentContentProvider, vscode.Disposable {
  readonly #proposals = new Map<string, Proposal>();
  readonly #disposables: vscode.Disposable[] = [];
  #lastId = 0;

  constructor() {
    this.#disposables.push(
      vscode.workspace.registerTextDocumentContentProvider(SCHEME, this),
      vscode.workspace.onDidCloseTextDocument(({ uri }) => this.#proposals.delete(uri.toString())),
      vscode.commands.registerCommand(APPLY_COMMAND, (uri?: vscode.Uri) => this.#apply(uri)),
    );
  }

  provideTextDocumentContent(uri: vscode.Uri): string {
    return this.#proposals.get(uri.toString())?.text ?? "";
  }

  /** Puts code at the cursor of the editor used last, in place of what is selected there. */
  async insert(code: string): Promise<void> {
    const editor = editorOrMessage();
    if (!editor) return;
    await editor.edit((edit) => edit.replace(editor.selection, code));
    await vscode.window.showTextDocument(editor.document, editor.viewColumn);
  }

  /** Shows the editor's text as it is beside how it would be with the code in it; the diff's title has the button to apply. */
  async compare(code: string): Promise<void> {
    const editor = editorOrMessage();
    if (!editor) return;
    const { document, selection } = editor;
    const text = document.getText();
    const changed =
      text.slice(0, document.offsetAt(selection.start)) + code + text.slice(document.offsetAt(selection.end));
    const uri = document.uri.with({ scheme: SCHEME, query: String(++this.#lastId) });
    this.#proposals.set(uri.toString(), { target: document.uri, range: selection, code, text: changed });
    const title = vscode.l10n.t("{0}: proposed change", vscode.workspace.asRelativePath(document.uri));
    await vscode.commands.executeCommand("vscode.diff", document.uri, uri, title);
  }

  dispose(): void {
    for (const disposable of this.#disposables) disposable.dispose();
  }

  async #apply(uri: vscode.Uri | undefined): Promise<void> {
    const shown = uri ?? vscode.window.activeTextEditor?.document.uri;
    const proposal = shown && this.#proposals.get(shown.toString());
    if (!proposal) return;
    const edit = new vscode.WorkspaceEdit();
    edit.replace(proposal.target, proposal.range, proposal.code);
    await vscode.workspace.applyEdit(edit);
    await vscode.commands.executeCommand("workbench.action.closeActiveEditor");
    await vscode.window.showTextDocument(proposal.target);
  }
}

function editorOrMessage(): vscode.TextEditor | undefined {
  const editor = vscode.window.activeTextEditor ?? vscode.window.visibleTextEditors[0];
  if (!editor) {
    void vscode.window.showInformationMessage(vscode.l10n.t("No editor is open; open the file the code belongs to."));
  }
  return editor;
}

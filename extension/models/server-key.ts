/** The server's key, kept in the editor's secret storage and nowhere else. */
import * as vscode from "vscode";

const SECRET = "longsight.serverKey";

export class ServerKey {
  readonly #secrets: vscode.SecretStorage;

  constructor(secrets: vscode.SecretStorage) {
    this.#secrets = secrets;
  }

  async get(): Promise<string | undefined> {
    return this.#secrets.get(SECRET);
  }

  /** Asks for the key; an empty one removes it. */
  async ask(): Promise<void> {
    const key = await vscode.window.showInputBox({
      title: vscode.l10n.t("Key of the server that writes answers"),
      prompt: vscode.l10n.t("Kept in the editor's secret storage. Leave it empty to remove the key."),
      password: true,
      ignoreFocusOut: true,
    });
    if (key === undefined) return;
    if (key === "") await this.#secrets.delete(SECRET);
    else await this.#secrets.store(SECRET, key);
  }
}

/** The chat panel in the side bar: the host's side of webview/chat.ts. */
import * as vscode from "vscode";
import { type FromPanel, isFromPanel, type Mention, type Status, type ToPanel } from "../../webview/messages.ts";
import type { EngineHost } from "../engine-host.ts";
import { setPage } from "../panel-page.ts";
import { settings } from "../settings.ts";
import { showError } from "../user-errors.ts";
import type { FolderIndex } from "../workspace/folder-index.ts";
import { freshness } from "../workspace/freshness.ts";
import type { Indexes } from "../workspace/indexes.ts";
import type { Answerer } from "./answerer.ts";
import { CodeActions } from "./code-actions.ts";
import { Conversation } from "./conversation.ts";
import { findMentions, selectionMention } from "./mentions.ts";
import { openPlace } from "./open-place.ts";
import { chatStrings } from "./strings.ts";

const VIEW = "longsight.chat";

export class ChatView implements vscode.WebviewViewProvider, vscode.Disposable {
  readonly #context: vscode.ExtensionContext;
  readonly #engine: EngineHost;
  readonly #indexes: Indexes;
  readonly #conversation: Conversation;
  readonly #code = new CodeActions();
  readonly #disposables: vscode.Disposable[] = [];
  #view: vscode.WebviewView | undefined;
  #chosen: FolderIndex | undefined;
  /** Messages for a page that is not there yet. */
  #waiting: ToPanel[] = [];
  #isReady = false;

  constructor(context: vscode.ExtensionContext, engine: EngineHost, indexes: Indexes, answerer: Answerer) {
    this.#engine = engine;
    this.#context = context;
    this.#indexes = indexes;
    this.#conversation = new Conversation(context.workspaceState, answerer, (turn) =>
      this.#send({ type: "turn", turn }),
    );
    const sendStatus = () => this.#send({ type: "status", status: this.#status() });
    const command = (id: string, run: () => Promise<void>) => vscode.commands.registerCommand(`longsight.${id}`, run);
    this.#disposables.push(
      this.#code,
      vscode.window.registerWebviewViewProvider(VIEW, this),
      command("newConversation", () => this.#clear()),
      command("ask", () => this.#askInBox()),
      command("askAboutSelection", () => this.#askAboutSelection()),
      indexes.onDidChange(sendStatus),
      vscode.window.onDidChangeActiveTextEditor(sendStatus),
      vscode.workspace.onDidChangeConfiguration(sendStatus),
    );
  }

  resolveWebviewView(view: vscode.WebviewView): void {
    this.#view = view;
    this.#isReady = false;
    const listener = view.webview.onDidReceiveMessage((message: unknown) => {
      if (isFromPanel(message)) this.#receive(message).catch(showError);
    });
    setPage(view.webview, this.#context.extensionUri, "chat", "Longsight");
    view.onDidDispose(() => {
      listener.dispose();
      this.#view = undefined;
      this.#isReady = false;
    });
  }

  dispose(): void {
    this.#conversation.stop();
    for (const disposable of this.#disposables) disposable.dispose();
  }

  /** Asks for a question where the user is, and shows the answer in the panel. */
  async #askInBox(): Promise<void> {
    const question = await vscode.window.showInputBox({
      title: vscode.l10n.t("Ask Longsight about {0}", this.#index()?.folder.name ?? vscode.l10n.t("the workspace")),
      placeHolder: vscode.l10n.t("Where are loans renewed?"),
    });
    if (!question?.trim()) return;
    await vscode.commands.executeCommand(`${VIEW}.focus`);
    await this.#ask(question.trim(), []);
  }

  /** Shows the panel with the selection mentioned; the question is the user's. */
  async #askAboutSelection(): Promise<void> {
    const index = this.#index();
    const mention = index && selectionMention(index);
    this.#waiting.push({ type: "compose", question: "", mentions: mention ? [mention] : [] });
    await vscode.commands.executeCommand(`${VIEW}.focus`);
    this.#flush();
  }

  async #receive(message: FromPanel): Promise<void> {
    switch (message.type) {
      case "ready":
        this.#isReady = true;
        this.#sendSnapshot();
        this.#flush();
        break;
      case "ask":
        await this.#ask(message.question, message.mentions);
        break;
      case "stop":
        this.#conversation.stop();
        break;
      case "regenerate": {
        const turn = this.#conversation.turns.find(({ id }) => id === message.id);
        const index = this.#indexes.all().find(({ folder }) => folder.uri.toString() === turn?.folder);
        if (index) await this.#conversation.regenerate(message.id, index);
        break;
      }
      case "open":
        await openPlace(vscode.Uri.parse(message.folder, true), message);
        break;
      case "copy":
        await vscode.env.clipboard.writeText(message.code);
        break;
      case "insert":
        await this.#code.insert(message.code);
        break;
      case "apply":
        await this.#code.compare(message.code);
        break;
      case "findMentions": {
        const index = this.#index();
        const mentions = index ? await findMentions(index, message.query, this.#engine) : [];
        this.#send({ type: "mentions", serial: message.serial, mentions });
        break;
      }
      case "chooseFolder":
        await this.#chooseFolder();
        break;
    }
  }

  async #ask(question: string, mentions: readonly Mention[]): Promise<void> {
    const index = this.#index();
    if (index) await this.#conversation.ask(index, question, mentions);
    else void vscode.window.showInformationMessage(vscode.l10n.t("No folder is open; open one to ask about it."));
  }

  async #clear(): Promise<void> {
    await this.#conversation.clear();
    this.#sendSnapshot();
  }

  /** The folder asked: the one chosen, else the active editor's. */
  #index(): FolderIndex | undefined {
    if (this.#chosen && this.#indexes.all().includes(this.#chosen)) return this.#chosen;
    return this.#indexes.of(vscode.window.activeTextEditor?.document.uri);
  }

  async #chooseFolder(): Promise<void> {
    const items = this.#indexes
      .all()
      .map((index) => ({ label: index.folder.name, description: freshness(index), index }));
    const choice = await vscode.window.showQuickPick(items, { title: vscode.l10n.t("Which folder is asked?") });
    if (!choice) return;
    this.#chosen = choice.index;
    this.#send({ type: "status", status: this.#status() });
  }

  #status(): Status {
    const index = this.#index();
    const model = settings.serverUrl() ? settings.serverModel() || settings.serverUrl() : settings.chatModel();
    return {
      folderName: index?.folder.name ?? "",
      hasFolders: this.#indexes.all().length > 1,
      freshness: index ? freshness(index) : vscode.l10n.t("No folder is open"),
      writer: model ? (model.split(/[\\/]/).at(-1) ?? model) : "",
    };
  }

  #sendSnapshot(): void {
    this.#send({ type: "snapshot", turns: this.#conversation.turns, strings: chatStrings(), status: this.#status() });
  }

  #send(message: ToPanel): void {
    // A page that is not there gets everything anew when it is.
    if (this.#isReady) void this.#view?.webview.postMessage(message);
  }

  #flush(): void {
    if (!this.#isReady) return;
    for (const message of this.#waiting.splice(0)) this.#send(message);
  }
}

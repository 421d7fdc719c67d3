/** The diagnostics panel in an editor tab: the host's side of webview/diagnostics.ts. The traces live here, not in the page. */
import * as vscode from "vscode";
import { isFromDiagnostics, type ToDiagnostics, type Trace } from "../../webview/diagnostics-messages.ts";
import { openPlace } from "../chat/open-place.ts";
import type { CompletionCounts } from "../completion/provider.ts";
import type { EngineHost } from "../engine-host.ts";
import { setPage } from "../panel-page.ts";
import { showError } from "../user-errors.ts";
import type { Encoding } from "../workspace/encoding.ts";
import type { Indexes } from "../workspace/indexes.ts";
import { folderBytes, gatherFacts } from "./facts.ts";
import { diagnosticsStrings } from "./strings.ts";
import { readTraining } from "./training.ts";

/** How often a visible panel is told what is new, in ms. */
const TRACES_EVERY_MS = 250;
const FACTS_EVERY_MS = 2000;
/** Counting the bytes of a store reads every file's size. */
const STORE_EVERY_MS = 30_000;

export class DiagnosticsPanel implements vscode.Disposable {
  readonly #context: vscode.ExtensionContext;
  readonly #engine: EngineHost;
  readonly #indexes: Indexes;
  readonly #counts: CompletionCounts;
  readonly #encoding: Encoding;
  readonly #command: vscode.Disposable;
  #panel: vscode.WebviewPanel | undefined;
  #storeBytes: number | null = null;
  #changed = new Set<Trace>();
  #ends: (() => void)[] = [];

  constructor(
    context: vscode.ExtensionContext,
    engine: EngineHost,
    indexes: Indexes,
    { counts, encoding }: { readonly counts: CompletionCounts; readonly encoding: Encoding },
  ) {
    this.#context = context;
    this.#engine = engine;
    this.#indexes = indexes;
    this.#counts = counts;
    this.#encoding = encoding;
    this.#command = vscode.commands.registerCommand("longsight.showDiagnostics", () => this.#show());
  }

  dispose(): void {
    this.#command.dispose();
    this.#panel?.dispose();
  }

  #show(): void {
    if (this.#panel) {
      this.#panel.reveal();
      return;
    }
    const title = vscode.l10n.t("Longsight Diagnostics");
    const panel = vscode.window.createWebviewPanel("longsight.diagnostics", title, vscode.ViewColumn.Active);
    panel.iconPath = new vscode.ThemeIcon("graph");
    this.#panel = panel;
    panel.webview.onDidReceiveMessage((message: unknown) => {
      if (!isFromDiagnostics(message)) return;
      if (message.type === "ready") void this.#sendSnapshot();
      else if (message.type === "pause") void this.#pause(message.isPaused);
      else openPlace(vscode.Uri.file(message.folder), message).catch(showError);
    });
    panel.onDidDispose(() => {
      this.#panel = undefined;
      for (const end of this.#ends.splice(0)) end();
    });
    const timers = [
      setInterval(() => this.#sendTraces(), TRACES_EVERY_MS),
      setInterval(() => void this.#sendFacts(), FACTS_EVERY_MS),
      setInterval(() => void this.#countStore(), STORE_EVERY_MS),
    ];
    this.#ends.push(
      () => timers.map((timer) => clearInterval(timer)),
      this.#engine.traces.listen((trace) => this.#changed.add(trace)),
    );
    setPage(panel.webview, this.#context.extensionUri, "diagnostics", title);
    void this.#countStore();
  }

  async #pause(isPaused: boolean): Promise<void> {
    await this.#encoding.pause(isPaused).catch(showError);
    await this.#sendFacts();
  }

  async #sendSnapshot(): Promise<void> {
    this.#changed.clear();
    const facts = await gatherFacts(this.#engine, this.#indexes, this.#counts, this.#storeBytes);
    const training = await readTraining(this.#context.extensionUri);
    const strings = diagnosticsStrings();
    this.#send({ type: "snapshot", traces: this.#engine.traces.all(), facts, strings, training });
  }

  #sendTraces(): void {
    // A hidden page is thrown away by the editor and gets a snapshot when it is shown again.
    if (this.#changed.size === 0 || !this.#panel?.visible) return;
    const traces = [...this.#changed];
    this.#changed.clear();
    this.#send({ type: "traces", traces });
  }

  async #sendFacts(): Promise<void> {
    if (!this.#panel?.visible) return;
    this.#send({
      type: "facts",
      facts: await gatherFacts(this.#engine, this.#indexes, this.#counts, this.#storeBytes),
    });
  }

  async #countStore(): Promise<void> {
    this.#storeBytes = await folderBytes(this.#engine.cacheFolder);
    await this.#sendFacts();
  }

  #send(message: ToDiagnostics): void {
    void this.#panel?.webview.postMessage(message);
  }
}

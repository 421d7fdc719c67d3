/**
 * Inline completions. A suggestion comes from the first source that has one: what was shown and is being typed, the cache,
 * the request under way, the engine. While one is read, the one after it is prepared.
 */
import * as vscode from "vscode";
import { requests } from "../../engine/protocol.ts";
import type { EngineHost } from "../engine-host.ts";
import { log } from "../log.ts";
import { settings } from "../settings.ts";
import { isCancelled, isLost, sentenceOf, tellOnce } from "../user-errors.ts";
import { CompletionCache, type Place } from "./cache.ts";
import { AdaptiveDelay } from "./delay.ts";
import { suggestionOf } from "./filters/index.ts";
import { PendingCompletion } from "./pending.ts";
import { type CursorText, cursorText, isCompletable } from "./place.ts";
import { coveredLength } from "./range.ts";

/** Runs after a suggestion has been inserted; internal, for the counts of the diagnostics panel. */
export const ACCEPTED_COMMAND = "longsight.internal.completionAccepted";
/** A suggestion that was not withdrawn within this time counts as shown, in ms. */
const SHOWN_AFTER_MS = 250;
/** Whoever looks at a suggestion for so long may take it: only then the one after it is prepared, in ms. */
const READ_MS = 250;
/** After a failure the engine is left alone for this long, in ms. */
const FAILURE_PAUSE_MS = 10_000;

export interface CompletionCounts {
  /** Suggestions by where they came from. */
  readonly sources: Record<"cache" | "pending" | "engine", number>;
  /** About: returned and not withdrawn at once; the editor does not tell. */
  shown: number;
  accepted: number;
}

export class CompletionProvider implements vscode.InlineCompletionItemProvider, vscode.Disposable {
  readonly counts: CompletionCounts = { sources: { cache: 0, pending: 0, engine: 0 }, shown: 0, accepted: 0 };
  readonly #engine: EngineHost;
  /** Changes whenever a folder's index does, so that cached suggestions do not outlive what they were made from. */
  readonly #indexRevision: () => number;
  readonly #cache = new CompletionCache();
  readonly #delay = new AdaptiveDelay();
  readonly #disposables: vscode.Disposable[] = [];
  #pending: PendingCompletion | undefined;
  #ahead: PendingCompletion | undefined;
  /** Where the suggestion is that it comes behind. */
  #aheadOf: Place | undefined;
  #pausedUntilMs = 0;
  #shown: ReturnType<typeof setTimeout> | undefined;
  /** Where a suggestion is being looked at, until the next one is prepared. */
  #reading: { readonly place: Place; readonly timer: ReturnType<typeof setTimeout> } | undefined;

  constructor(engine: EngineHost, indexRevision: () => number) {
    this.#engine = engine;
    this.#indexRevision = indexRevision;
    this.#disposables.push(
      vscode.languages.registerInlineCompletionItemProvider({ pattern: "**" }, this),
      vscode.workspace.onDidChangeTextDocument((event) => this.#onEdit(event)),
      vscode.window.onDidChangeTextEditorSelection(() => this.#onMove()),
      vscode.window.onDidChangeActiveTextEditor(() => this.#onMove()),
      vscode.commands.registerCommand(ACCEPTED_COMMAND, () => {
        this.counts.accepted++;
      }),
    );
  }

  dispose(): void {
    this.#pending?.abort();
    this.#ahead?.abort();
    clearTimeout(this.#shown);
    this.#stopReading();
    for (const disposable of this.#disposables) disposable.dispose();
  }

  async provideInlineCompletionItems(
    document: vscode.TextDocument,
    position: vscode.Position,
    context: vscode.InlineCompletionContext,
    token: vscode.CancellationToken,
  ): Promise<vscode.InlineCompletionItem[] | undefined> {
    const isAsked = context.triggerKind === vscode.InlineCompletionTriggerKind.Invoke;
    if (token.isCancellationRequested || !isCompletable(document)) return undefined;
    if (!isAsked && (!settings.completionsEnabled(document) || Date.now() < this.#pausedUntilMs)) return undefined;
    const around = cursorText(document, position, context.selectedCompletionInfo);
    const line = around.prefix.slice(around.prefix.lastIndexOf("\n") + 1);
    const version = document.version;
    const text = await this.#suggestion(document, around, isAsked ? 0 : this.#wait(line), token);
    if (!text || token.isCancellationRequested || document.version !== version) return undefined;
    this.#noteShown(token);
    this.#stopReading();
    const timer = setTimeout(() => {
      this.#reading = undefined;
      this.#prepareNext(document, around, text);
    }, READ_MS);
    this.#reading = { place: this.#place(document, around), timer };
    return [item(text, document, position, context.selectedCompletionInfo)];
  }

  #wait(line: string): number {
    return this.#delay.next(line, performance.now(), settings.completionMaxDelayMs());
  }

  async #suggestion(
    document: vscode.TextDocument,
    around: CursorText,
    waitMs: number,
    token: vscode.CancellationToken,
  ): Promise<string> {
    const place = this.#place(document, around);
    const known = this.#cache.find(place);
    if (known !== undefined) {
      if (known !== "") this.counts.sources.cache++;
      return known;
    }
    const running = [this.#pending, this.#ahead].find((one) => one && !one.isDone && one.mayFit(place));
    const withdrawn = new AbortController();
    const listener = token.onCancellationRequested(() => withdrawn.abort());
    try {
      if (!running) {
        await sleep(waitMs, withdrawn.signal);
        if (withdrawn.signal.aborted) return "";
        this.#pending?.abort();
        this.#ahead?.abort();
        this.#pending = this.#request(place, around);
      }
      const text = await (running ?? this.#pending!).wait(place, withdrawn.signal);
      if (text !== "") this.counts.sources[running ? "pending" : "engine"]++;
      return text;
    } catch (error) {
      if (!isCancelled(error)) {
        this.#pausedUntilMs = Date.now() + FAILURE_PAUSE_MS;
        log.warn(`No completion: ${sentenceOf(error)}`);
        this.#tell(error);
      }
      return "";
    } finally {
      listener.dispose();
    }
  }

  /** Suggestions that stay away are noticed by nobody: it is said why, where it will not pass by itself. */
  #tell(error: unknown): void {
    if (isLost(error) && this.#engine.state !== "failed") return;
    const choose = { label: vscode.l10n.t("Choose a Model"), command: "longsight.chooseCompletionModel" };
    const restart = { label: vscode.l10n.t("Restart the Engine"), command: "longsight.restartEngine" };
    const { label, command } = settings.completionModel() === "" ? restart : choose;
    void tellOnce(error, { label, run: () => vscode.commands.executeCommand(command) });
  }

  #place(document: vscode.TextDocument, { prefix, suffix }: CursorText): Place {
    return { key: `${document.uri} ${this.#indexRevision()} ${settings.completionModel()}`, prefix, suffix };
  }

  /** Asks the engine; what comes back is filtered and remembered. */
  #request(place: Place, around: CursorText): PendingCompletion {
    return new PendingCompletion(place, async (signal, onText) => {
      const params = {
        ...around,
        model: settings.completionModel() || undefined,
        maxTokens: settings.completionMaxTokens(),
      };
      const onProgress = (progress: { kind: string; text?: string }) => {
        if (progress.kind === "completion" && progress.text !== undefined) onText(progress.text);
      };
      const startMs = performance.now();
      const completion = await this.#engine
        .request(requests.complete, params, { signal, onProgress })
        .finally(() => this.#delay.worked(startMs, performance.now()));
      const kept = suggestionOf(completion, place);
      this.#cache.add(place, kept);
      return kept;
    });
  }

  /** Has the engine work on what comes after `text` while the user reads it. */
  #prepareNext(document: vscode.TextDocument, around: CursorText, text: string): void {
    const next = { ...around, prefix: around.prefix + text };
    const place = this.#place(document, next);
    if (this.#pending && !this.#pending.isDone) return;
    if (this.#cache.find(place) !== undefined || (this.#ahead && !this.#ahead.isDone && this.#ahead.mayFit(place)))
      return;
    this.#ahead?.abort();
    this.#aheadOf = this.#place(document, around);
    this.#ahead = this.#request(place, next);
  }

  /** Stops work that an edit has made useless, before the editor even asks again. */
  #onEdit({ document, contentChanges }: vscode.TextDocumentChangeEvent): void {
    const editor = vscode.window.activeTextEditor;
    if (contentChanges.length === 0 || editor?.document !== document) return;
    this.#stopReading();
    const [change] = contentChanges;
    const end = document.positionAt(change.rangeOffset + change.text.length);
    const place = this.#place(document, cursorText(document, end));
    for (const one of [this.#pending, this.#ahead]) if (one && !one.isDone && !one.mayFit(place)) one.abort();
  }

  /** Whoever goes elsewhere does not take the suggestion: the one after it is not wanted. */
  #onMove(): void {
    const isAhead = this.#ahead && !this.#ahead.isDone;
    if (!this.#reading && !isAhead) return;
    const editor = vscode.window.activeTextEditor;
    const place = editor && this.#place(editor.document, cursorText(editor.document, editor.selection.active));
    if (this.#reading && !isSame(this.#reading.place, place)) this.#stopReading();
    // The cursor rests in front of the suggestion, or goes behind it when it is taken.
    if (isAhead && !(place && this.#ahead?.mayFit(place)) && !isSame(this.#aheadOf, place)) this.#ahead?.abort();
  }

  #stopReading(): void {
    clearTimeout(this.#reading?.timer);
    this.#reading = undefined;
  }

  #noteShown(token: vscode.CancellationToken): void {
    clearTimeout(this.#shown);
    this.#shown = setTimeout(() => {
      if (!token.isCancellationRequested) this.counts.shown++;
    }, SHOWN_AFTER_MS);
  }
}

const isSame = (a: Place | undefined, b: Place | undefined) =>
  a !== undefined && b !== undefined && a.key === b.key && a.prefix === b.prefix && a.suffix === b.suffix;

/** The suggestion as the editor takes it: with the suggest widget's entry in front, over the closers it brings itself. */
function item(
  text: string,
  document: vscode.TextDocument,
  position: vscode.Position,
  selected: vscode.SelectedCompletionInfo | undefined,
): vscode.InlineCompletionItem {
  const end = selected?.range.end ?? position;
  const lineRest = document.lineAt(end.line).text.slice(end.character);
  const range = new vscode.Range(selected?.range.start ?? position, end.translate(0, coveredLength(text, lineRest)));
  return new vscode.InlineCompletionItem((selected?.text ?? "") + text, range, {
    command: ACCEPTED_COMMAND,
    title: "",
  });
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  if (ms === 0) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}

/** The index of one workspace folder: built when the folder opens, kept up to date by watching files and git's HEAD. */
import * as vscode from "vscode";
import { type IndexResult, requests } from "../../engine/protocol.ts";
import type { EngineHost } from "../engine-host.ts";
import { log } from "../log.ts";
import { isCancelled, isLost, isOver, sentenceOf, tellOnce } from "../user-errors.ts";
import { Coalesced } from "./coalesce.ts";
import { forecastText, isAgreed } from "./folder-forecast.ts";
import { gitFolderOf, revisionOf } from "./revision.ts";

/** Files change in bursts (a checkout, a build); the index follows when the burst is over. */
const QUIET_MS = 300;
const MAX_WAIT_MS = 5000;

export type IndexState =
  | { readonly kind: "none" }
  | { readonly kind: "indexing"; readonly done: number; readonly total: number | null }
  | { readonly kind: "ready"; readonly result: IndexResult; readonly revision: string | null }
  | { readonly kind: "failed"; readonly sentence: string };

export class FolderIndex implements vscode.Disposable {
  readonly folder: vscode.WorkspaceFolder;
  readonly #engine: EngineHost;
  readonly #changed: () => void;
  readonly #disposables: vscode.Disposable[] = [];
  readonly #update = new Coalesced(() => this.update(), QUIET_MS, MAX_WAIT_MS);
  /** Paths changed since the index was last brought up to date. */
  #pending = new Set<string>();
  #running: { readonly done: Promise<void>; readonly abort: AbortController } | undefined;
  #state: IndexState = { kind: "none" };
  /** Tells a question that is open that the user wants the index. */
  #asked: (() => void) | undefined;
  /** What the folder's first index and its memory will take; null where there is an index. */
  #forecast: string | null = null;

  /** `changed` is called whenever the state or the number of pending files changes. */
  constructor(folder: vscode.WorkspaceFolder, engine: EngineHost, changed: () => void) {
    this.folder = folder;
    this.#engine = engine;
    this.#changed = changed;
    this.#watch(new vscode.RelativePattern(folder, "**"));
    void gitFolderOf(folder.uri.fsPath).then((gitFolder) => {
      // Watched by itself: the folder's own watcher may exclude .git, and a linked work tree has it elsewhere.
      if (gitFolder) this.#watch(new vscode.RelativePattern(vscode.Uri.file(gitFolder), "HEAD"), true);
    });
  }

  get state(): IndexState {
    return this.#state;
  }

  /** Files that changed since the index was last brought up to date. */
  get nPending(): number {
    return this.#pending.size;
  }

  /** Estimates for the first index of the folder, in two sentences; null where they are not known or it is there. */
  get forecast(): string | null {
    return this.#forecast;
  }

  /**
   * Brings the index up to date; a second call while one runs waits for that one. A first index that takes much is made
   * where the user has asked for it or agrees.
   */
  async update(isAsked = false): Promise<void> {
    if (isAsked) this.#asked?.();
    if (!this.#running) {
      const abort = new AbortController();
      const done = this.#run(abort.signal, isAsked).finally(() => {
        this.#running = undefined;
      });
      this.#running = { done, abort };
    }
    await this.#running.done;
  }

  /** Has the next engine take up what the lost one had, and what it was about to have. */
  async recover(): Promise<void> {
    const wasIndexing = this.#state.kind === "indexing";
    if (wasIndexing) await this.#running?.done;
    if (wasIndexing || this.#state.kind === "ready") await this.update(wasIndexing);
  }

  /** Stops the indexing under way; what was done stays. */
  cancel(): void {
    this.#running?.abort.abort();
  }

  dispose(): void {
    this.#update.dispose();
    this.cancel();
    for (const disposable of this.#disposables) disposable.dispose();
  }

  async #run(signal: AbortSignal, isAsked: boolean): Promise<void> {
    const taken = this.#pending;
    this.#pending = new Set();
    const before = this.#state;
    try {
      const folder = this.folder.uri.fsPath;
      if (before.kind !== "ready" && !(await this.#isWanted(signal, isAsked))) {
        this.#set({ kind: "none" });
        return;
      }
      if (before.kind !== "ready") this.#set({ kind: "indexing", done: 0, total: null });
      const revision = await revisionOf(folder);
      const result = await this.#engine.request(
        requests.index,
        { folder },
        {
          signal,
          onProgress: (progress) => {
            if (progress.kind === "work") this.#set({ kind: "indexing", done: progress.done, total: progress.total });
          },
        },
      );
      log.info(
        `${this.folder.name}: ${result.files} files in the index, ${result.indexed} taken up, ${Math.round(result.ms)} ms.`,
      );
      this.#forecast = null;
      if (before.kind === "failed") isOver(before.sentence);
      this.#set({ kind: "ready", result, revision });
    } catch (error) {
      for (const path of taken) this.#pending.add(path);
      if (isCancelled(error)) this.#set(before.kind === "indexing" ? { kind: "none" } : before);
      else {
        this.#set({ kind: "failed", sentence: sentenceOf(error) });
        // A lost engine is followed by another, which takes the folder up.
        if (isLost(error) && this.#engine.state !== "failed") return;
        void tellOnce(error, { label: vscode.l10n.t("Try Again"), run: () => this.update(true) });
      }
    }
  }

  /** Says what the first index will take; whether it shall be made. */
  async #isWanted(signal: AbortSignal, isAsked: boolean): Promise<boolean> {
    // No trace: this is a look at the folder, no work on it.
    const forecast = await this.#engine.ask(requests.forecast, { folder: this.folder.uri.fsPath }, { signal });
    if (forecast.isIndexed) return true;
    this.#forecast = forecastText(forecast);
    log.info(`${this.folder.name}: ${this.#forecast}`);
    this.#changed();
    if (isAsked) return true;
    // The question stays open for as long as the user likes; to ask for the index elsewhere answers it too.
    const asked = new Promise<boolean>((resolve) => {
      this.#asked = () => resolve(true);
    });
    return await Promise.race([isAgreed(this.folder.name, forecast), asked]);
  }

  #watch(pattern: vscode.RelativePattern, isHead = false): void {
    const watcher = vscode.workspace.createFileSystemWatcher(pattern);
    const onEvent = ({ fsPath }: vscode.Uri) => {
      if (!isHead && /[\\/](\.git|node_modules)([\\/]|$)/.test(fsPath)) return;
      // HEAD is no file of the folder: what a checkout changes is told by the other watcher.
      if (!isHead) this.#pending.add(fsPath);
      this.#changed();
      // An index nobody has asked for yet is not built because a file was saved.
      if (this.#state.kind !== "none") this.#update.event();
    };
    this.#disposables.push(
      watcher,
      watcher.onDidChange(onEvent),
      watcher.onDidCreate(onEvent),
      watcher.onDidDelete(onEvent),
    );
  }

  #set(state: IndexState): void {
    this.#state = state;
    this.#changed();
  }
}

/** How far the folders are encoded into memory: asked of the engine while that goes on, held and let go on. */
import * as vscode from "vscode";
import { type EngineStatus, type MemoryStatus, requests } from "../../engine/protocol.ts";
import { durationText } from "../../webview/amounts.ts";
import type { EngineHost } from "../engine-host.ts";
import type { FolderIndex } from "./folder-index.ts";
import type { Indexes } from "./indexes.ts";

const EVERY_MS = 2000;
/** The memory is in use a moment after its index: so often nothing may be under way before nobody asks any more. */
const QUIET_LOOKS = 5;

export class Encoding implements vscode.Disposable {
  readonly #engine: EngineHost;
  readonly #indexes: Indexes;
  readonly #emitter = new vscode.EventEmitter<void>();
  readonly onDidChange = this.#emitter.event;
  readonly #listener: vscode.Disposable;
  #timer: NodeJS.Timeout | undefined;
  #quietLooks = 0;
  #memories: EngineStatus["memories"] = {};

  constructor(engine: EngineHost, indexes: Indexes) {
    this.#engine = engine;
    this.#indexes = indexes;
    // An index that is done is encoded next.
    this.#listener = indexes.onDidChange(() => this.follow());
  }

  /** The folder's memory as it was when last asked for; undefined before it is in use. */
  of({ folder }: FolderIndex): MemoryStatus | undefined {
    return this.#memories[folder.uri.fsPath];
  }

  /** Whether a folder is being encoded, or would be if it was not held. */
  get isUnderWay(): boolean {
    return Object.values(this.#memories).some(
      ({ filesEncoded, filesTotal, isPaused, encoding }) =>
        filesEncoded < filesTotal && (isPaused || encoding !== null),
    );
  }

  get isPaused(): boolean {
    return Object.values(this.#memories).some(({ isPaused }) => isPaused);
  }

  /** Holds the encoding of all folders, or lets it go on. Errors: LongsightError. */
  async pause(isPaused: boolean): Promise<void> {
    for (const { folder } of this.#indexes.all()) {
      const status = await this.#engine.ask(requests.pauseEncoding, { folder: folder.uri.fsPath, isPaused });
      this.#memories = status.memories;
    }
    this.#emitter.fire();
    this.follow();
  }

  /** Asks again and again until nothing has been under way for a while. */
  follow(): void {
    this.#quietLooks = 0;
    this.#timer ??= setInterval(() => void this.#look(), EVERY_MS);
  }

  dispose(): void {
    clearInterval(this.#timer);
    this.#listener.dispose();
    this.#emitter.dispose();
  }

  async #look(): Promise<void> {
    // An engine that does not run encodes nothing and is not started to say so.
    const isRunning = this.#engine.state === "running";
    const status = isRunning ? await this.#engine.ask(requests.status, {}).catch(() => undefined) : undefined;
    this.#memories = status?.memories ?? {};
    this.#emitter.fire();
    const isQuiet = !this.isUnderWay && this.#indexes.all().every(({ state }) => state.kind !== "indexing");
    if (!isQuiet || ++this.#quietLooks < QUIET_LOOKS) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** One line: how much is encoded and about how long the rest takes; undefined where nothing is left. */
export function encodingText(memory: MemoryStatus | undefined): string | undefined {
  if (!memory || memory.filesEncoded >= memory.filesTotal) return undefined;
  const { l10n } = vscode;
  const { filesEncoded, filesTotal, isPaused, encoding } = memory;
  const done = l10n.t("Memory: {0} of {1} files", filesEncoded, filesTotal);
  if (isPaused) return l10n.t("{0}, paused", done);
  const remainingMs = encoding?.remainingMs ?? null;
  return remainingMs === null ? done : l10n.t("{0}, about {1} left", done, durationText(remainingMs));
}

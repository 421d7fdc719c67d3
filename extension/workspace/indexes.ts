/** One index per workspace folder, as folders come and go. */
import * as vscode from "vscode";
import type { EngineHost } from "../engine-host.ts";
import { settings } from "../settings.ts";
import { FolderIndex } from "./folder-index.ts";

export class Indexes implements vscode.Disposable {
  readonly #engine: EngineHost;
  readonly #byFolder = new Map<string, FolderIndex>();
  readonly #emitter = new vscode.EventEmitter<void>();
  readonly onDidChange = this.#emitter.event;
  readonly #listener: vscode.Disposable;
  #revision = 0;

  constructor(engine: EngineHost) {
    this.#engine = engine;
    this.#follow();
    this.#listener = vscode.Disposable.from(
      vscode.workspace.onDidChangeWorkspaceFolders(() => {
        this.#follow();
        if (settings.indexOnOpen()) void this.updateAll();
      }),
      // Another window has restarted the engine, or cleared what it had stored; or it broke down.
      engine.onDidChangeState((state) => {
        if (state === "lost") void this.#recover();
      }),
    );
  }

  /** Grows whenever an index has been brought up to date. */
  get revision(): number {
    return this.#revision;
  }

  all(): FolderIndex[] {
    return [...this.#byFolder.values()];
  }

  /** The index of the folder `uri` lies in, else that of the first folder; undefined where no local folder is open. */
  of(uri: vscode.Uri | undefined): FolderIndex | undefined {
    const folder = uri && vscode.workspace.getWorkspaceFolder(uri);
    return (folder && this.#byFolder.get(folder.uri.toString())) ?? this.all()[0];
  }

  /** Brings those indexes up to date that are not; `isAsked`: the user wants it now. */
  async updateAll(isAsked = false): Promise<void> {
    await Promise.all(this.all().map((index) => index.update(isAsked)));
  }

  /** Has the next engine take up what the lost one had; encoding goes on behind that. */
  async #recover(): Promise<void> {
    await Promise.all(this.all().map((index) => index.recover()));
  }

  dispose(): void {
    this.#listener.dispose();
    for (const index of this.#byFolder.values()) index.dispose();
    this.#emitter.dispose();
  }

  #follow(): void {
    // Folders of other schemes have no files on this machine that an index could be made of.
    const folders = (vscode.workspace.workspaceFolders ?? []).filter(({ uri }) => uri.scheme === "file");
    const wanted = new Set(folders.map(({ uri }) => uri.toString()));
    for (const [key, index] of this.#byFolder) {
      if (wanted.has(key)) continue;
      index.dispose();
      this.#byFolder.delete(key);
    }
    for (const folder of folders) {
      const key = folder.uri.toString();
      if (!this.#byFolder.has(key)) {
        this.#byFolder.set(key, new FolderIndex(folder, this.#engine, () => this.#onChange()));
      }
    }
    this.#emitter.fire();
  }

  #states = new Map<FolderIndex, unknown>();

  #onChange(): void {
    for (const index of this.all()) {
      if (index.state.kind === "ready" && this.#states.get(index) !== index.state) {
        this.#states.set(index, index.state);
        this.#revision++;
      }
    }
    this.#emitter.fire();
  }
}

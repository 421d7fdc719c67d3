/**
 * The engine process as the extension sees it: the one of all windows, started when first needed, started anew when lost,
 * asked by typed requests. Every request leaves a trace.
 */
import { readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import * as vscode from "vscode";
import type { EngineClient } from "../engine/client.ts";
import { LongsightError } from "../engine/errors.ts";
import { setAsidePrefix } from "../engine/protocol.ts";
import { shareEngine } from "../engine/shared-client.ts";
import { log } from "./log.ts";
import { requireEngine } from "./platform.ts";
import { describeParams, describeResult } from "./trace-details.ts";
import { TraceRing } from "./traces.ts";

type Ask = Parameters<EngineClient["request"]>;

/** An engine that is lost this often within the window is not started again by itself. */
const MAX_LOSSES = 3;
const LOSS_WINDOW_MS = 60_000;

export type EngineState = "idle" | "starting" | "running" | "lost" | "failed";

export class EngineHost implements vscode.Disposable {
  readonly traces = new TraceRing();
  readonly #changed = new vscode.EventEmitter<EngineState>();
  readonly onDidChangeState = this.#changed.event;
  readonly #extensionFolder: string;
  readonly #script: string;
  readonly #cacheFolder: string;
  #client: Promise<EngineClient> | undefined;
  #state: EngineState = "idle";
  #pid: number | undefined;
  #losses: number[] = [];
  /** From spawning the process to its first answer, in ms; undefined before. */
  startMs: number | undefined;

  constructor(context: vscode.ExtensionContext) {
    this.#extensionFolder = context.extensionPath;
    this.#script = join(context.extensionPath, "dist", "server.js");
    this.#cacheFolder = vscode.Uri.joinPath(context.globalStorageUri, "cache").fsPath;
  }

  get state(): EngineState {
    return this.#state;
  }

  get pid(): number | undefined {
    return this.#pid;
  }

  /** Where indexes and converted weights lie. */
  get cacheFolder(): string {
    return this.#cacheFolder;
  }

  /** Sends a request to the engine, which is started if need be. Errors: LongsightError. */
  request: EngineClient["request"] = async (...[type, params, options]: Ask) => {
    const { subject, folder } = describeParams(params);
    const trace = this.traces.start(type.method, subject, folder);
    const startMs = performance.now();
    const observed: Ask[2] = {
      ...options,
      onProgress: (value) => {
        if (trace.firstTextMs === null && (value.kind === "text" || value.kind === "completion")) {
          trace.firstTextMs = performance.now() - startMs;
          this.traces.changed(trace);
        }
        options?.onProgress?.(value);
      },
    };
    let abortedMs: number | undefined;
    options?.signal?.addEventListener("abort", () => {
      abortedMs = performance.now();
    });
    try {
      const result = await (await this.#start()).request(type, params, observed);
      trace.status = "done";
      describeResult(trace, result);
      return result as never;
    } catch (error) {
      trace.status = error instanceof LongsightError && error.code === "cancelled" ? "cancelled" : "failed";
      if (trace.status === "cancelled" && abortedMs !== undefined) {
        // It is answered when its work has stopped.
        const stopping = { name: "stopping", ms: performance.now() - abortedMs };
        trace.stages = [{ name: "until cancelled", ms: abortedMs - startMs }, stopping];
      }
      throw error;
    } finally {
      trace.totalMs = performance.now() - startMs;
      this.traces.changed(trace);
    }
  };

  /** Asks the engine about itself; no work, so it leaves no trace. */
  ask: EngineClient["request"] = async (...args: Ask) => (await this.#start()).request(...args) as never;

  /** Takes leave of the engine, which ends with its last window; the next request finds or starts one. */
  async leave(): Promise<void> {
    await this.#forget()
      ?.then((running) => running.close())
      .catch(() => {});
  }

  /** Ends the engine, for all windows; the next request of any of them starts another. */
  async end(): Promise<void> {
    await this.#forget()
      ?.then((running) => running.end())
      .catch(() => {});
  }

  /**
   * Deletes all stores while no window can use them; the engine ends, and the next request of any window starts one with
   * empty stores. Errors: LongsightError.
   */
  async clearStores(): Promise<void> {
    const client = await this.#start();
    try {
      void this.#forget();
      await client.clearStores();
    } finally {
      await this.#deleteSetAside();
    }
  }

  dispose(): void {
    void this.leave();
    this.#changed.dispose();
  }

  /** Deletes what was set aside, now or by a window that was closed before it had deleted all. */
  async #deleteSetAside(): Promise<void> {
    const prefix = setAsidePrefix(this.#cacheFolder);
    for (const name of await readdir(dirname(prefix))) {
      const path = join(dirname(prefix), name);
      if (path.startsWith(prefix)) await rm(path, { recursive: true, force: true });
    }
  }

  #forget(): Promise<EngineClient> | undefined {
    const client = this.#client;
    this.#client = undefined;
    this.#losses = [];
    this.#pid = undefined;
    this.#set("idle");
    return client;
  }

  #start(): Promise<EngineClient> {
    if (this.#client) return this.#client;
    const starting = this.#spawn();
    this.#client = starting;
    // The next request tries again.
    starting.catch(() => {
      if (this.#client === starting) this.#client = undefined;
    });
    return starting;
  }

  async #spawn(): Promise<EngineClient> {
    try {
      requireEngine(this.#extensionFolder);
      if (this.#losses.filter((at) => Date.now() - at < LOSS_WINDOW_MS).length >= MAX_LOSSES) {
        throw new LongsightError(
          "engine-lost",
          `The Longsight engine stopped ${MAX_LOSSES} times within a minute; read its log, then run "Longsight: Restart Engine".`,
        );
      }
      this.#set("starting");
      const startMs = performance.now();
      const client = await shareEngine({
        // The editor's own Node: nothing else is sure to be installed on the user's machine.
        command: process.execPath,
        args: ["--disable-warning=ExperimentalWarning", this.#script],
        script: this.#script,
        cacheFolder: this.#cacheFolder,
        env: { ...process.env, ELECTRON_RUN_AS_NODE: "1", LONGSIGHT_CACHE: this.#cacheFolder },
        onLog: (line) => log.info(`engine: ${line}`),
        onLost: (reason) => this.#lose(reason),
      });
      this.startMs = performance.now() - startMs;
      this.#pid = client.pid;
      log.info(`The engine runs as process ${client.pid}, ready after ${Math.round(this.startMs)} ms.`);
      this.#set("running");
      return client;
    } catch (error) {
      this.#set("failed");
      throw error;
    }
  }

  #lose(reason: LongsightError): void {
    log.error(reason.message);
    this.#client = undefined;
    this.#pid = undefined;
    this.#losses.push(Date.now());
    this.#set("lost");
  }

  #set(state: EngineState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#changed.fire(state);
  }
}

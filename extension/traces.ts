/** What the engine did for each request, kept for the diagnostics panel: a ring of the last requests. */
import type { Trace } from "../webview/diagnostics-messages.ts";

const MAX_TRACES = 500;

/** The last requests, oldest first. */
export class TraceRing {
  readonly #traces: Trace[] = [];
  readonly #listeners = new Set<(trace: Trace) => void>();
  #lastId = 0;

  start(kind: string, subject: string, folder: string | null): Trace {
    const trace: Trace = {
      id: ++this.#lastId,
      kind,
      subject,
      folder,
      startedAt: Date.now(),
      firstTextMs: null,
      totalMs: null,
      status: "running",
      stages: [],
      nTokens: null,
      budget: [],
      places: [],
      memory: null,
    };
    this.#traces.push(trace);
    if (this.#traces.length > MAX_TRACES) this.#traces.shift();
    this.changed(trace);
    return trace;
  }

  /** Tells the listeners that `trace` has changed. */
  changed(trace: Trace): void {
    for (const listener of this.#listeners) listener(trace);
  }

  all(): readonly Trace[] {
    return this.#traces;
  }

  /** Calls `listener` at every change until the returned function is called. */
  listen(listener: (trace: Trace) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** What the engine did for each request, kept for the diagnostics panel: a ring of the last requests. */

export interface Trace {
  readonly id: number;
  readonly kind: string;
  /** Wall clock, ms since the epoch. */
  readonly startedAt: number;
  /** From the request to its first piece of text, in ms; null where there was none. */
  firstTextMs: number | null;
  /** From the request to its end, in ms; null while it runs. */
  totalMs: number | null;
  status: "running" | "done" | "cancelled" | "failed";
  /** The engine's own account of its time by stage, in ms, in order. */
  stages: readonly { readonly name: string; readonly ms: number }[];
  nTokens: number | null;
}

const MAX_TRACES = 500;

/** The last requests, oldest first. */
export class TraceRing {
  readonly #traces: Trace[] = [];
  readonly #listeners = new Set<(trace: Trace) => void>();
  #lastId = 0;

  start(kind: string): Trace {
    const trace: Trace = {
      id: ++this.#lastId,
      kind,
      startedAt: Date.now(),
      firstTextMs: null,
      totalMs: null,
      status: "running",
      stages: [],
      nTokens: null,
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

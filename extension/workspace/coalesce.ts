/** Many events, one call: runs a task some time after the last of them, and never twice at once. */
export class Coalesced {
  readonly #task: () => Promise<void>;
  readonly #quietMs: number;
  readonly #maxMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #firstMs: number | undefined;
  #isRunning = false;
  #isDisposed = false;

  /** `task` runs once events have stopped for `quietMs`, or `maxMs` after the first. It must not reject. */
  constructor(task: () => Promise<void>, quietMs: number, maxMs: number) {
    this.#task = task;
    this.#quietMs = quietMs;
    this.#maxMs = maxMs;
  }

  event(): void {
    if (this.#isDisposed) return;
    this.#firstMs ??= performance.now();
    if (this.#isRunning) return;
    clearTimeout(this.#timer);
    const left = Math.max(0, this.#firstMs + this.#maxMs - performance.now());
    this.#timer = setTimeout(() => void this.#run(), Math.min(this.#quietMs, left));
  }

  dispose(): void {
    this.#isDisposed = true;
    clearTimeout(this.#timer);
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    this.#firstMs = undefined;
    await this.#task();
    this.#isRunning = false;
    // What happened meanwhile counts for the next run.
    if (this.#firstMs !== undefined) this.event();
  }
}

/** Long work on the main thread lets other work in from time to time. */

/** So long at a stretch. */
const SLICE_MS = 8;

export class Pace {
  #untilMs = performance.now() + SLICE_MS;

  /** Waits for its turn, if this work had its slice. */
  async rest(): Promise<void> {
    if (performance.now() < this.#untilMs) return;
    await new Promise((resolve) => setImmediate(resolve));
    this.#untilMs = performance.now() + SLICE_MS;
  }
}

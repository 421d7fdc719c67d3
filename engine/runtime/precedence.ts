/**
 * Completions go before work that shares their thread but not their model: indexing, reading what they copy from. That work
 * asks between two small steps, and waits while a completion is under way; otherwise each run of the model, which lets the
 * event loop turn, would let in one more step.
 */
import { setImmediate, setTimeout } from "node:timers/promises";

/** So long a step waits at most, in ms: completions that follow each other without end slow other work, but do not stop it. */
const MAX_WAIT_MS = 250;

export class Precedence {
  #nUrgent = 0;
  #over = Promise.withResolvers<void>();

  /** Whether something goes first at this moment. */
  get isUrgent(): boolean {
    return this.#nUrgent > 0;
  }

  /** Does work that goes first. */
  async first<T>(work: () => Promise<T>): Promise<T> {
    this.#nUrgent++;
    try {
      return await work();
    } finally {
      if (--this.#nUrgent === 0) {
        this.#over.resolve();
        this.#over = Promise.withResolvers<void>();
      }
    }
  }

  /** Lets in what has come meanwhile, and waits while it goes first. */
  async giveWay(): Promise<void> {
    await setImmediate();
    if (!this.isUrgent) return;
    const tooLong = new AbortController();
    const waited = setTimeout(MAX_WAIT_MS, undefined, { signal: tooLong.signal }).catch(() => {});
    await Promise.race([this.#over.promise, waited]);
    tooLong.abort();
  }
}

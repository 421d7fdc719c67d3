/**
 * How long to wait before the engine is asked. A fast typist's next key would make the work useless; at the start of a
 * line, where people stop to think, nothing is waited for.
 */

/** Pauses longer than this are not part of typing. */
const TYPING_PAUSE_MS = 1000;
/** How much one interval counts in the running mean. */
const WEIGHT = 0.3;
/** A typist whose keys come this much later than usual has stopped. */
const STOPPED_FACTOR = 1.3;

export class AdaptiveDelay {
  #lastKeyMs: number | undefined;
  #intervalMs: number | undefined;

  /** Notes a keystroke. */
  key(nowMs: number): void {
    if (this.#lastKeyMs !== undefined) {
      const interval = nowMs - this.#lastKeyMs;
      if (interval < TYPING_PAUSE_MS) {
        this.#intervalMs =
          this.#intervalMs === undefined ? interval : (1 - WEIGHT) * this.#intervalMs + WEIGHT * interval;
      }
    }
    this.#lastKeyMs = nowMs;
  }

  /** The wait in ms, from now, for a cursor behind `line` (the line's text up to it), at most `maxMs`. */
  next(line: string, nowMs: number, maxMs: number): number {
    if (line.trim() === "" || this.#intervalMs === undefined || this.#lastKeyMs === undefined) return 0;
    const sinceKey = nowMs - this.#lastKeyMs;
    return Math.min(maxMs, Math.max(0, STOPPED_FACTOR * this.#intervalMs - sinceKey));
  }
}

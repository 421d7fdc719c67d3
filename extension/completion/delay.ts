/**
 * How long to wait before the engine is asked. Where it has rested it is asked at once, so that whoever pauses sees a
 * suggestion at once, and at the start of a line, where people stop to think, always. But after work it rests in
 * proportion: however fast somebody types, and however slow the machine is, most of the processor's time is left.
 */

/** A rest is so many times as long as the work before it. */
const REST_FACTOR = 2;

export class AdaptiveDelay {
  #restedMs = Number.NEGATIVE_INFINITY;

  /** Notes that the engine was at work between two times, in vain or not. */
  worked(startMs: number, endMs: number): void {
    this.#restedMs = Math.max(this.#restedMs, endMs + REST_FACTOR * (endMs - startMs));
  }

  /** The wait in ms, from now, for a cursor behind `line` (the line's text up to it), at most `maxMs`. */
  next(line: string, nowMs: number, maxMs: number): number {
    if (line.trim() === "") return 0;
    return Math.min(maxMs, Math.max(0, this.#restedMs - nowMs));
  }
}

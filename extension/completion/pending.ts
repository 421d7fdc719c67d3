/**
 * The one completion the engine works on. While the user types what it is about to suggest, it goes on; as soon as the
 * text goes another way it is aborted, and the engine stops at its next run.
 */
import { type Place, remainder } from "./cache.ts";

/** How long a request nobody waits for any more may go on for the next keystroke to take it over, in ms. */
const ADOPTION_MS = 25;

export class PendingCompletion {
  readonly place: Place;
  readonly result: Promise<string>;
  readonly #abort = new AbortController();
  #soFar = "";
  #waiters = 0;
  #orphaned: ReturnType<typeof setTimeout> | undefined;
  #isDone = false;

  /** Starts `complete` at once. Its result is the suggestion, "" for none; it rejects when aborted. */
  constructor(place: Place, complete: (signal: AbortSignal, onText: (text: string) => void) => Promise<string>) {
    this.place = place;
    this.result = complete(this.#abort.signal, (text) => {
      this.#soFar = text;
    }).finally(() => {
      this.#isDone = true;
      clearTimeout(this.#orphaned);
    });
    // Whoever waits hears of a failure; that nobody waits is no failure of its own.
    this.result.catch(() => {});
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  get isAborted(): boolean {
    return this.#abort.signal.aborted;
  }

  /** Whether the result may still fit at `place`: what is typed since agrees with what has come so far. */
  mayFit(place: Place): boolean {
    if (this.isAborted || place.key !== this.place.key || place.suffix !== this.place.suffix) return false;
    if (!place.prefix.startsWith(this.place.prefix)) return false;
    const typed = place.prefix.slice(this.place.prefix.length);
    return this.#soFar.startsWith(typed) || (typed.startsWith(this.#soFar) && !this.#isDone);
  }

  /** Waits for what is left of the result at `place`; "" where it does not fit or the waiter's `signal` aborts. */
  async wait(place: Place, signal: AbortSignal): Promise<string> {
    clearTimeout(this.#orphaned);
    this.#waiters++;
    try {
      const aborted = new Promise<undefined>((resolve) => {
        if (signal.aborted) resolve(undefined);
        signal.addEventListener("abort", () => resolve(undefined), { once: true });
      });
      const text = await Promise.race([this.result, aborted]);
      return text === undefined ? "" : (remainder(this.place, text, place) ?? "");
    } finally {
      if (--this.#waiters === 0 && !this.#isDone) this.#orphaned = setTimeout(() => this.abort(), ADOPTION_MS);
    }
  }

  abort(): void {
    clearTimeout(this.#orphaned);
    this.#abort.abort();
  }
}

/**
 * One model runs one request at a time; this lock decides who is next. A completion, which the user waits for while
 * typing, goes before a chat answer, and that before indexing. A task that already runs is not interrupted: it holds
 * the lock for one request and observes its own AbortSignal between two session runs.
 */
import { LongsightError } from "../errors.ts";

/** Lower runs first. */
export const PRIORITY = { completion: 0, chat: 1, indexing: 2 } as const;
export type Priority = (typeof PRIORITY)[keyof typeof PRIORITY];

interface Waiting {
  readonly priority: Priority;
  readonly start: () => void;
}

/** An exclusive lock with priorities; equal priorities are served in order of arrival. */
export class Scheduler {
  readonly #waiting: Waiting[] = [];
  #busy = false;

  /** Runs `task` when its turn comes. Errors: cancelled, if `signal` aborts before the task starts. */
  async run<T>(priority: Priority, task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.#acquire(priority, signal);
    try {
      return await task();
    } finally {
      this.#release();
    }
  }

  #acquire(priority: Priority, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.reject(cancelled());
    if (!this.#busy) {
      this.#busy = true;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        priority,
        start: () => {
          signal?.removeEventListener("abort", abort);
          resolve();
        },
      };
      const abort = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(cancelled());
      };
      signal?.addEventListener("abort", abort, { once: true });
      const behind = this.#waiting.findIndex((other) => other.priority > priority);
      this.#waiting.splice(behind < 0 ? this.#waiting.length : behind, 0, waiting);
    });
  }

  #release(): void {
    const next = this.#waiting.shift();
    if (next) next.start();
    else this.#busy = false;
  }
}

function cancelled(): LongsightError {
  return new LongsightError("cancelled", "Cancelled.");
}

/**
 * The models in memory. Each runs one request at a time, the more urgent ones first. The shipped model is small and
 * stays; of the user's models one is kept, and gives way when another is asked for.
 */
import { LongsightError } from "../errors.ts";
import type { ModelProgress } from "../models/model-work.ts";
import { type LoadedModel, loadModel } from "./loaded-model.ts";
import { PRIORITY, type Priority, Scheduler } from "./scheduler.ts";

export interface UseOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: {
    readonly kind: "work";
    readonly phase: string;
    readonly done: number;
    readonly total: number;
  }) => void;
}

class Slot {
  readonly scheduler = new Scheduler();
  readonly path: string | undefined;
  model: LoadedModel | undefined;

  constructor(path: string | undefined) {
    this.path = path;
  }
}

export class ModelPool {
  readonly #default = new Slot(undefined);
  #chosen: Slot | undefined;
  #closed = false;

  names(): string[] {
    return [this.#default, this.#chosen].flatMap((slot) => (slot?.model ? [slot.model.name] : []));
  }

  /** Runs `task` on a model when its turn comes, loading the model first where needed. Without a path: the shipped one. */
  use<T>(
    path: string | undefined,
    priority: Priority,
    task: (model: LoadedModel) => Promise<T>,
    { signal, onProgress }: UseOptions = {},
  ): Promise<T> {
    if (this.#closed) return Promise.reject(new LongsightError("engine-lost", "The engine is closing; start it anew."));
    const slot = path === undefined ? this.#default : this.#choose(path);
    const report = (progress: ModelProgress) => onProgress?.({ kind: "work", ...progress });
    return slot.scheduler.run(
      priority,
      async () => {
        slot.model ??= await loadModel(path, { signal, onProgress: report });
        return await task(slot.model);
      },
      signal,
    );
  }

  /** Waits for what runs and frees all models. */
  async close(): Promise<void> {
    this.#closed = true;
    await unload(this.#default);
    if (this.#chosen) await unload(this.#chosen);
  }

  #choose(path: string): Slot {
    if (this.#chosen?.path === path) return this.#chosen;
    // The model before is freed once its requests are through; meanwhile both are in memory.
    if (this.#chosen) void unload(this.#chosen);
    this.#chosen = new Slot(path);
    return this.#chosen;
  }
}

function unload(slot: Slot): Promise<void> {
  return slot.scheduler.run(PRIORITY.indexing, async () => {
    await slot.model?.close();
    slot.model = undefined;
  });
}

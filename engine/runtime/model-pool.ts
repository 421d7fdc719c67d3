/**
 * The models in memory, shared by all users of an engine: its windows. Each model runs one request at a time, the more
 * urgent ones first. Of the models that a user names one is kept for each purpose; it gives way when that user names
 * another for the same purpose, unless another user has it too. A model that nobody has used for a while is given back
 * and loaded anew by the next request.
 */
import { LongsightError } from "../errors.ts";
import type { ModelProgress } from "../models/model-work.ts";
import { type LoadedModel, loadModel } from "./loaded-model.ts";
import type { Reading } from "./reading.ts";
import { PRIORITY, type Priority, Scheduler } from "./scheduler.ts";
import { giveBackMemory } from "./spare-memory.ts";

export interface UseOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: {
    readonly kind: "work";
    readonly phase: string;
    readonly done: number;
    readonly total: number;
  }) => void;
}

export interface ModelPoolOptions {
  readonly load?: typeof loadModel;
  readonly idleMs?: number;
  /** Called before the model at a path is given back, while nothing uses it; it may not have been loaded. */
  readonly onUnload?: (path: string | undefined) => Promise<void>;
}

/**
 * Longer than reading a page or a short meeting between two questions, and much shorter than the night: gigabytes are
 * loaded anew in seconds, but should not be held all day by a window in the background.
 */
const IDLE_MS = 10 * 60 * 1000;

class Slot {
  readonly scheduler = new Scheduler();
  readonly path: string | undefined;
  model: LoadedModel | undefined;
  /** Work that runs or waits for its turn. */
  nAtWork = 0;
  idleTimer: NodeJS.Timeout | undefined;

  constructor(path: string | undefined) {
    this.path = path;
  }
}

export class ModelPool {
  readonly #load: typeof loadModel;
  readonly #idleMs: number;
  readonly #onUnload: ModelPoolOptions["onUnload"];
  /** By the model's path; undefined is the shipped one. */
  readonly #slots = new Map<string | undefined, Slot>();
  /** The paths that each user has named, by purpose. */
  readonly #chosen = new Map<object, Map<Priority, string>>();
  #closed = false;

  constructor({ load = loadModel, idleMs = IDLE_MS, onUnload }: ModelPoolOptions = {}) {
    this.#load = load;
    this.#idleMs = idleMs;
    this.#onUnload = onUnload;
  }

  names(): string[] {
    return [...this.#slots.values()].flatMap(({ model }) => (model ? [model.name] : []));
  }

  readings(): Record<string, Reading> {
    const models = [...this.#slots.values()].flatMap(({ model }) => (model?.reading ? [model] : []));
    return Object.fromEntries(models.map(({ name, reading }) => [name, reading!]));
  }

  /** Runs `task` on a model when its turn comes, loading the model first where needed. Without a path: the shipped one. */
  use<T>(
    user: object,
    path: string | undefined,
    priority: Priority,
    task: (model: LoadedModel) => Promise<T>,
    { signal, onProgress }: UseOptions = {},
  ): Promise<T> {
    if (this.#closed) return Promise.reject(new LongsightError("engine-lost", "The engine is closing; start it anew."));
    if (path !== undefined) this.#choose(user, path, priority);
    const slot = this.#slot(path);
    const report = (progress: ModelProgress) => onProgress?.({ kind: "work", ...progress });
    return this.#atWork(slot, () =>
      slot.scheduler.run(
        priority,
        async () => {
          slot.model ??= await this.#load(path, { signal, onProgress: report });
          return await task(slot.model);
        },
        signal,
      ),
    );
  }

  /** Keeps the shipped model in memory, once it is there, until `work` is done. */
  keep<T>(work: () => Promise<T>): Promise<T> {
    return this.#atWork(this.#slot(undefined), work);
  }

  /** Waits inside `keep` for something that may take any time: meanwhile the model may be given back. */
  async rest<T>(wait: () => Promise<T>): Promise<T> {
    const slot = this.#slot(undefined);
    this.#leaveWork(slot);
    try {
      return await wait();
    } finally {
      this.#beginWork(slot);
    }
  }

  /** Frees a model once its requests are through; the next request loads it anew. */
  async unload(path: string): Promise<void> {
    const slot = this.#slots.get(path);
    if (slot) await this.#unload(slot, () => false);
  }

  /** Gives back what only this user has named. */
  leave(user: object): void {
    const paths = [...(this.#chosen.get(user)?.values() ?? [])];
    this.#chosen.delete(user);
    for (const path of paths) this.#dropUnlessChosen(path);
  }

  /** Waits for what runs and frees all models. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const slot of this.#slots.values()) await this.#unload(slot, () => false);
  }

  #choose(user: object, path: string, priority: Priority): void {
    const paths = this.#chosen.get(user) ?? new Map<Priority, string>();
    this.#chosen.set(user, paths);
    const before = paths.get(priority);
    paths.set(priority, path);
    if (before !== undefined) this.#dropUnlessChosen(before);
  }

  /** Frees a model once its requests are through; meanwhile the one that takes its place may be in memory as well. */
  #dropUnlessChosen(path: string): void {
    const isChosen = () => [...this.#chosen.values()].some((paths) => [...paths.values()].includes(path));
    if (!isChosen()) void this.#unload(this.#slot(path), isChosen);
  }

  #slot(path: string | undefined): Slot {
    const slot = this.#slots.get(path) ?? new Slot(path);
    this.#slots.set(path, slot);
    return slot;
  }

  /** Runs work during which the slot's model is not idle. */
  async #atWork<T>(slot: Slot, work: () => Promise<T>): Promise<T> {
    this.#beginWork(slot);
    try {
      return await work();
    } finally {
      this.#leaveWork(slot);
    }
  }

  #beginWork(slot: Slot): void {
    slot.nAtWork++;
    clearTimeout(slot.idleTimer);
  }

  #leaveWork(slot: Slot): void {
    slot.nAtWork--;
    if (slot.nAtWork > 0 || this.#closed) return;
    const isAtWork = () => slot.nAtWork > 0;
    slot.idleTimer = setTimeout(() => void this.#unload(slot, isAtWork), this.#idleMs).unref();
  }

  /** Frees a slot's model behind all that waits for it, unless it is wanted again by then. */
  async #unload(slot: Slot, isWanted: () => boolean): Promise<void> {
    clearTimeout(slot.idleTimer);
    await slot.scheduler.run(PRIORITY.indexing, async () => {
      const { model } = slot;
      if (isWanted()) return;
      slot.model = undefined;
      await this.#onUnload?.(slot.path);
      await model?.close();
    });
    // Once what has just run here refers to the model no more. A process that ends gives everything back anyway.
    if (!this.#closed) setImmediate(() => slot.nAtWork === 0 && giveBackMemory());
  }
}

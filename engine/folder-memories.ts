/** The memories of an engine's open folders, the shipped model's and those of users' models: opened, filled, held ready. */
import type { Citation } from "./ask/ask.ts";
import type { Work } from "./engine-calls.ts";
import { LongsightError } from "./errors.ts";
import type { EncodingResult } from "./memory/encoding-job.ts";
import { FolderMemory, type RefreshOptions } from "./memory/folder-memory.ts";
import { memoryFingerprint } from "./memory/segment-store.ts";
import type { OpenFolder } from "./open-folders.ts";
import type { LoadedModel } from "./runtime/loaded-model.ts";
import type { ModelPool } from "./runtime/model-pool.ts";
import { PRIORITY } from "./runtime/scheduler.ts";

/**
 * Where users' models keep what they have encoded: apart, because a token of theirs is a hundred times as large and would
 * push the shipped model's out.
 */
const MODEL_STORE = { folder: "model-memory", quotaBytes: 16 * 2 ** 30 };

export class FolderMemories {
  readonly #models: ModelPool;
  readonly #user: object;
  readonly #encodesInBackground: boolean;

  /** `user` is on whose behalf models are loaded. */
  constructor(models: ModelPool, user: object, encodesInBackground: boolean) {
    this.#models = models;
    this.#user = user;
    this.#encodesInBackground = encodesInBackground;
  }

  /** Encodes what is new; the model stays meanwhile, also while nothing is read by it. */
  refresh(open: OpenFolder, options?: RefreshOptions): Promise<EncodingResult | undefined> {
    return this.#models.keep(async () => {
      const memory = await this.shipped(open);
      return await memory.refresh(open.catalogue.files(), options);
    });
  }

  /** The same behind all other work, while nobody waits for it, where this engine does so. */
  refreshBehind(open: OpenFolder): void {
    if (this.#encodesInBackground) void quietly(open, () => this.refresh(open));
  }

  /** What the shipped model has in memory of a folder; undefined before the folder's first index. */
  async known(open: OpenFolder): Promise<FolderMemory | undefined> {
    if (open.memory || open.catalogue.files().length === 0) return open.memory;
    const memory = await this.shipped(open);
    await memory.attach(open.catalogue.files());
    return memory;
  }

  /** The shipped model's memory of a folder, opened when it is first asked for: that needs the model. */
  shipped(open: OpenFolder): Promise<FolderMemory> {
    const turn = <T>(run: () => Promise<T>, signal?: AbortSignal) =>
      this.#models.use(this.#user, undefined, PRIORITY.indexing, run, { signal });
    const rest = <T>(wait: () => Promise<T>) => this.#models.rest(wait);
    return this.#models.keep(async () => {
      const { memory, tokenizer } = await this.#models.use(
        this.#user,
        undefined,
        PRIORITY.completion,
        async (model) => model,
      );
      if (!memory) throw new LongsightError("unsupported", "This model has no memory; use the shipped one.");
      // Opened without holding the model, which completes meanwhile.
      const { weights, folder, openEncoder } = memory;
      const encoder = await openEncoder();
      if (open.isClosed) throw new LongsightError("cancelled", "The folder was closed.");
      if (!open.memory) {
        const { config } = encoder;
        const fingerprint = memoryFingerprint({ weights }, folder);
        const router = { config, weights };
        const parts = { encoder, tokenizer, fingerprint, shape: config, router, turn, rest };
        open.memory = new FolderMemory(open.path, parts);
        open.pauseEncoding(open.isEncodingPaused);
      }
      return open.memory;
    });
  }

  /** What a user's model has in memory of a folder, if that is how it reads. */
  async recalledBy(open: OpenFolder, model: string, loaded: LoadedModel): Promise<FolderMemory | undefined> {
    if (loaded.reading?.way !== "memory") return undefined;
    const memory = this.#ofModel(open, model, loaded);
    await memory.attach(open.catalogue.files());
    return memory;
  }

  /** Encodes what a user's model lacks of a folder behind its other work, what was just cited first. */
  encodeBehind(open: OpenFolder, folderMemory: FolderMemory, cited: readonly Citation[]): void {
    const missing = new Set(folderMemory.memory.missing.map(({ path }) => path));
    const first = new Set(cited.map(({ file }) => file).filter((file) => missing.has(file)));
    const isUnderWay = folderMemory.status.encoding !== null;
    if (!this.#encodesInBackground || missing.size === 0 || (isUnderWay && first.size === 0)) return;
    const files = open.catalogue.files().toSorted((a, b) => Number(first.has(b.path)) - Number(first.has(a.path)));
    void quietly(open, () => folderMemory.refresh(files));
  }

  /** The memory that a user's model has of a folder, as far as the folder is indexed. */
  attached(open: OpenFolder, model: string, work: Work): Promise<FolderMemory> {
    const attach = async (loaded: LoadedModel) => {
      const memory = this.#ofModel(open, model, loaded);
      await memory.attach(open.catalogue.files());
      return memory;
    };
    return this.#models.use(this.#user, model, PRIORITY.indexing, attach, work);
  }

  #ofModel(open: OpenFolder, model: string, { encoder, tokenizer }: LoadedModel): FolderMemory {
    if (!encoder) throw new LongsightError("unsupported", "This model encodes as the shipped one does; leave it out.");
    if (open.isClosed) throw new LongsightError("cancelled", "The folder was closed.");
    const turn = <T>(run: () => Promise<T>, signal?: AbortSignal) =>
      this.#models.use(this.#user, model, PRIORITY.indexing, run, { signal });
    const { fingerprint, shape } = encoder;
    const parts = { encoder, tokenizer, fingerprint, shape, turn };
    return open.memoryOf(model, () => new FolderMemory(open.path, parts, MODEL_STORE));
  }
}

/** Encodes what is new in a folder; what goes wrong is for the log, since nobody waits for it. */
export async function quietly(open: OpenFolder, encode: () => Promise<unknown>): Promise<void> {
  try {
    await encode();
  } catch (error) {
    if (!(error instanceof LongsightError && ["cancelled", "engine-lost"].includes(error.code))) {
      console.error(`The memory of ${open.path} is incomplete: ${(error as Error).message}`);
    }
  }
}

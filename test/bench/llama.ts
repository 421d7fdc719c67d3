/**
 * llama.cpp, for comparison: node-llama-cpp's ready-built library without its JavaScript, so that what is timed is
 * llama.cpp alone. The library exists for some platforms only, and is installed where it does.
 */
import { createRequire } from "node:module";
import { join } from "node:path";

/** The part of the library's interface that is used here. */
interface LlamaLibrary {
  setLogger(log: (level: number, message: string) => void): void;
  loadBackends(folder?: string): void;
  init(): Promise<void>;
  AddonModel: new (path: string, options: object) => LlamaModel;
  AddonContext: new (model: LlamaModel, options: object) => LlamaContext;
  AddonSampler: new (model: LlamaModel) => LlamaSampler;
}

interface LlamaModel {
  init(): Promise<boolean>;
  dispose(): Promise<void>;
}

interface LlamaSampler {
  applyConfig(config: object): void;
}

interface LlamaContext {
  init(): Promise<boolean>;
  dispose(): Promise<void>;
  initBatch(size: number): void;
  addToBatch(sequence: number, position: number, ids: Uint32Array, logitsOf: Uint32Array): Uint32Array;
  decodeBatch(): Promise<void>;
  sampleToken(index: number, sampler: LlamaSampler): Promise<number>;
  removeTokenCellsFromSequence(sequence: number, start: number, end: number): boolean;
}

export class Llama {
  readonly #model: LlamaModel;
  readonly #context: LlamaContext;
  readonly #sampler: LlamaSampler;

  /** Opens a GGUF file with an f16 cache and flash attention; undefined where llama.cpp is not installed. */
  static async open(path: string, options: { nThreads: number; contextLength: number }): Promise<Llama | undefined> {
    const library = await load();
    if (library === undefined) return undefined;
    const model = new library.AddonModel(path, { gpuLayers: 0, useMmap: true, addonExports: library });
    await model.init();
    const context = new library.AddonContext(model, {
      contextSize: options.contextLength,
      batchSize: MAX_RUN_TOKENS,
      sequences: 1,
      flashAttention: true,
      threads: options.nThreads,
    });
    await context.init();
    const sampler = new library.AddonSampler(model);
    sampler.applyConfig({ temperature: 0 });
    return new Llama(model, context, sampler);
  }

  private constructor(model: LlamaModel, context: LlamaContext, sampler: LlamaSampler) {
    this.#model = model;
    this.#context = context;
    this.#sampler = sampler;
  }

  /** Reads up to MAX_RUN_TOKENS ids behind the first `nPast`, which must have been read; the likeliest next id. */
  async read(ids: readonly number[], nPast: number): Promise<number> {
    this.#context.removeTokenCellsFromSequence(0, nPast, -1);
    this.#context.initBatch(ids.length);
    const [index] = this.#context.addToBatch(0, nPast, Uint32Array.from(ids), Uint32Array.of(ids.length - 1));
    await this.#context.decodeBatch();
    return this.#context.sampleToken(index, this.#sampler);
  }

  async close(): Promise<void> {
    await this.#context.dispose();
    await this.#model.dispose();
  }
}

/** llama.cpp's default batch. */
export const MAX_RUN_TOKENS = 512;

async function load(): Promise<LlamaLibrary | undefined> {
  const name = `${process.platform}-${process.arch}`;
  let folder: string;
  try {
    const { getBinsDir } = (await import(`@node-llama-cpp/${name}`)) as { getBinsDir(): { binsDir: string } };
    folder = join(getBinsDir().binsDir, name);
  } catch {
    return undefined;
  }
  const library = createRequire(import.meta.url)(join(folder, "llama-addon.node")) as LlamaLibrary;
  library.setLogger(() => {});
  library.loadBackends();
  library.loadBackends(folder);
  await library.init();
  return library;
}

/**
 * llama.cpp, for comparison: node-llama-cpp's ready-built library without its JavaScript, so that what is timed is
 * llama.cpp alone. The library exists for some platforms only, and is installed where it does.
 */
import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { DecoderConfig } from "../../engine/models/types.ts";

/** The part of the library's interface that is used here. */
interface LlamaLibrary {
  setLogger(log: (level: number, message: string) => void): void;
  setLoggerLogLevel(level: number): void;
  loadBackends(folder?: string): void;
  init(): Promise<void>;
  AddonModel: new (path: string, options: object) => LlamaModel;
  AddonContext: new (model: LlamaModel, options: object) => LlamaContext;
  AddonSampler: new (model: LlamaModel) => LlamaSampler;
}

interface LlamaModel {
  init(): Promise<boolean>;
  tokenize(text: string, special: boolean): Uint32Array;
  detokenize(ids: Uint32Array, special: boolean): string;
  tokenBos(): number;
  isEogToken(id: number): boolean;
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
  loadSequenceStateFromFile(path: string, sequence: number, maxTokens: number): Promise<Uint32Array>;
  removeTokenCellsFromSequence(sequence: number, start: number, end: number): boolean;
}

export class Llama {
  readonly #model: LlamaModel;
  readonly #context: LlamaContext;
  readonly #sampler: LlamaSampler;

  /** Opens a GGUF file with an f16 cache and flash attention; undefined where llama.cpp is not installed. */
  static async open(path: string, options: { nThreads: number; contextLength: number }): Promise<Llama | undefined> {
    const library = await loaded();
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

  /** A text's ids behind the first token of all. */
  encode(text: string): number[] {
    return [this.#model.tokenBos(), ...this.#model.tokenize(text, false)];
  }

  decode(ids: readonly number[]): string {
    return this.#model.detokenize(Uint32Array.from(ids), false);
  }

  /** Whether an id ends a text; small models without a token for it begin the next one. */
  isEnd(id: number): boolean {
    return this.#model.isEogToken(id) || id === this.#model.tokenBos();
  }

  /**
   * Makes the context hold `nTokens` tokens of random keys and values, by way of a file in `dir`: reading so many would
   * take hours, and how long a token takes does not depend on what it attends to.
   */
  async fill(nTokens: number, config: DecoderConfig, dir: string): Promise<void> {
    const path = join(dir, "llama.state");
    writeState(path, nTokens, config);
    await this.#context.loadSequenceStateFromFile(path, 0, nTokens);
    rmSync(path);
  }

  async close(): Promise<void> {
    await this.#context.dispose();
    await this.#model.dispose();
  }
}

/** The state of a sequence, as llama_state_seq_save_file writes it (version 3). */
function writeState(path: string, nTokens: number, { nLayers, nKvHeads, headSize }: DecoderConfig): void {
  const [MAGIC, VERSION, F16] = [0x67677371, 3, 1];
  const cells = Array.from({ length: nTokens }, (_, position) => [position, 1, 0]); // one sequence, number 0
  const tokens = new Array<number>(nTokens).fill(100);
  const head = [MAGIC, VERSION, nTokens, ...tokens, 1, nTokens, ...cells.flat()];
  const rowBytes = nKvHeads * headSize * 2;
  const rows = randomHalves((nTokens * rowBytes) / 2);
  const descriptor = openSync(path, "w");
  const write = (data: Uint16Array | Uint32Array) => {
    const bytes = new Uint8Array(data.buffer);
    for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done);
  };
  write(Uint32Array.from(head));
  write(Uint32Array.of(0, nLayers)); // values are not transposed
  for (let i = 0; i < 2 * nLayers; i++) {
    write(Uint32Array.of(F16, rowBytes, 0)); // the row's size has 64 bits
    write(rows);
  }
  closeSync(descriptor);
}

/** Bits of float16 numbers between -2 and 2. */
export function randomHalves(n: number): Uint16Array<ArrayBuffer> {
  const numbers = new Float16Array(n);
  for (let i = 0; i < n; i++) numbers[i] = ((i * 7919) % 257) / 64 - 2;
  return new Uint16Array(numbers.buffer);
}

/** llama.cpp's default batch. */
export const MAX_RUN_TOKENS = 512;

let library: Promise<LlamaLibrary | undefined> | undefined;

/** The library, which may be loaded once only. */
function loaded(): Promise<LlamaLibrary | undefined> {
  library ??= load();
  return library;
}

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
  library.setLoggerLogLevel(0);
  library.loadBackends();
  library.loadBackends(folder);
  await library.init();
  return library;
}

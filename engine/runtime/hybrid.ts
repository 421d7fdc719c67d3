/** Runs the default model: tokens in, logits out, the state of the text carried along. */
import { windowBiasRange } from "../attention/window.ts";
import { compileHybridDecoder } from "../compiler/hybrid.ts";
import { LongsightError } from "../errors.ts";
import type { HybridModel } from "../models/hybrid.ts";
import type { HybridConfig } from "../models/hybrid-config.ts";
import type { Accuracy } from "../onnx/linear.ts";
import { HybridState } from "./hybrid-state.ts";
import { betweenRuns, createSession, type InferenceSession, type SessionOptions, Tensor } from "./session.ts";

/** Tokens of one prefill run: longer ones are no faster, and cancelling takes effect between two runs. */
const MAX_RUN_TOKENS = 64;

/** Blocks of memory as one list of tokens in any order; `classes` index MEMORY_CLASSES. */
export interface MemoryTokens {
  /** [nTokens, headSize] */
  readonly keys: Float32Array;
  /** [nTokens, headSize] */
  readonly values: Float32Array;
  /** [nTokens] */
  readonly classes: Uint8Array;
}

export interface ReadOptions {
  /** What retrieval layers see besides the text: one list for all of them, or one for each by its layer's index. */
  readonly memory?: MemoryTokens | ReadonlyMap<number, MemoryTokens>;
  readonly signal?: AbortSignal;
  /** How many of the last tokens' logits are wanted, by default the last one's alone; at most one run's. */
  readonly nRows?: number;
}

export interface ReadResult {
  /** [nRows, vocabSize] of the last tokens, valid until the next call. */
  readonly logits: Float32Array;
  /** [nRows, hiddenSize] that the logits are made of. */
  readonly hidden: Float32Array;
  /** Per retrieval layer the routing queries of the last tokens, routeGroup or all if fewer were read, and maybe more: [n, routeSize], see groupQuery. */
  readonly queries: ReadonlyMap<number, Float32Array>;
  /**
   * Per retrieval layer what the last routeGroup tokens, or all if fewer were read, ask memory keys for:
   * [n, nHeads, headSize], with the score scale multiplied in.
   */
  readonly heads: ReadonlyMap<number, Float32Array>;
  /** Per retrieval layer the last token's attention [nHeads, nKeys]: memory tokens first, then the rest. */
  readonly attention: ReadonlyMap<number, Float32Array>;
}

export interface HybridOptions extends SessionOptions {
  /** `float` is for comparison with the reference, `int8` (the default) for use. */
  readonly accuracy?: Accuracy;
}

export class HybridDecoder {
  readonly config: HybridConfig;
  readonly #session: InferenceSession;
  readonly #retrievalLayers: readonly number[];
  readonly #memoryTensors = new WeakMap<MemoryTokens, Record<string, Tensor>>();

  /** Compiles the model and opens a session. */
  static async open({ config, weights }: HybridModel, options: HybridOptions): Promise<HybridDecoder> {
    const graph = compileHybridDecoder(config, weights, MAX_RUN_TOKENS, options.accuracy ?? "int8");
    return new HybridDecoder(config, await createSession(graph, options));
  }

  private constructor(config: HybridConfig, session: InferenceSession) {
    this.config = config;
    this.#session = session;
    this.#retrievalLayers = config.layers.flatMap((kind, layer) => (kind === "retrieval" ? [layer] : []));
  }

  /** The state before the first token of a text. */
  start(): HybridState {
    return new HybridState(this.config, "decoder");
  }

  /**
   * Reads one or more tokens behind those `state` has read and moves the state on. Any split of a text into calls gives
   * the same result. Errors: bad-input for ids outside the vocabulary; cancelled, observed between two runs, where the
   * state stands after the last finished run.
   */
  async read(state: HybridState, ids: readonly number[], options: ReadOptions = {}): Promise<ReadResult> {
    const { vocabSize, routeGroup } = this.config;
    const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize);
    if (wrong !== undefined) {
      throw new LongsightError(
        "bad-input",
        `Token ${wrong} is not one of the model's ${vocabSize}; use its tokenizer.`,
      );
    }
    const memory = this.#memoryInputs(options.memory);
    const { nRows = 1 } = options;
    if (nRows > MAX_RUN_TOKENS) throw new Error(`${nRows} rows are more than one run's`);
    // All rows that are wanted belong to the last run, and all tokens that ask memory together.
    const nLast = Math.max(nRows, Math.min(routeGroup, MAX_RUN_TOKENS));
    for (let start = 0, end = 0; start < ids.length; start = end) {
      await betweenRuns(options.signal);
      end = start + MAX_RUN_TOKENS;
      end = end >= ids.length ? ids.length : Math.min(end, ids.length - nLast);
      const isLast = end === ids.length;
      const result = await this.#run(state, ids.slice(start, end), isLast ? nRows : 0, memory);
      if (isLast) return result;
    }
    throw new LongsightError("bad-input", "There are no tokens to read; give at least one.");
  }

  async close(): Promise<void> {
    await this.#session.release();
  }

  async #run(
    state: HybridState,
    ids: readonly number[],
    nRows: number,
    memory: Record<string, Tensor>,
  ): Promise<ReadResult> {
    const n = ids.length;
    const { start, end } = windowBiasRange(this.config.window, state.nWindow, n);
    const feeds = {
      ids: int64([1, n], ids),
      rows: int64(
        [nRows],
        Array.from({ length: nRows }, (_, row) => n - nRows + row),
      ),
      bias_start: int64([2], start),
      bias_end: int64([2], end),
      ...memory,
      ...state.inputs(),
    };
    const names = this.#retrievalLayers.flatMap((layer) => [`query.${layer}`, `heads.${layer}`, `attention.${layer}`]);
    const fetches = {
      logits: null,
      hidden: null,
      ...Object.fromEntries(names.map((name) => [name, null])),
      ...state.outputs(n),
    };
    const results = await this.#session.run(feeds, fetches);
    state.advance(n);
    const byLayer = (name: string) =>
      new Map(this.#retrievalLayers.map((layer) => [layer, results[`${name}.${layer}`].data as Float32Array]));
    return {
      logits: results.logits.data as Float32Array,
      hidden: results.hidden.data as Float32Array,
      queries: byLayer("query"),
      heads: byLayer("heads"),
      attention: byLayer("attention"),
    };
  }

  #memoryInputs(memory: ReadOptions["memory"]): Record<string, Tensor> {
    const inputs: Record<string, Tensor> = {};
    for (const layer of this.#retrievalLayers) {
      const tokens = (memory && "get" in memory ? memory.get(layer) : memory) ?? NO_MEMORY;
      for (const [name, tensor] of Object.entries(this.#tensorsOf(tokens))) inputs[`memory.${layer}.${name}`] = tensor;
    }
    return inputs;
  }

  /** The same tokens are seen by many runs, one for each token that is generated. */
  #tensorsOf(tokens: MemoryTokens): Record<string, Tensor> {
    const n = tokens.classes.length;
    const rows = (data: Float32Array) => new Tensor("float32", data, [n, this.config.headSize]);
    let tensors = this.#memoryTensors.get(tokens);
    tensors ??= { keys: rows(tokens.keys), values: rows(tokens.values), classes: int64([n], [...tokens.classes]) };
    this.#memoryTensors.set(tokens, tensors);
    return tensors;
  }
}

const NO_MEMORY: MemoryTokens = {
  keys: new Float32Array(0),
  values: new Float32Array(0),
  classes: new Uint8Array(0),
};

const int64 = (shape: number[], values: readonly number[]) =>
  new Tensor("int64", BigInt64Array.from(values, BigInt), shape);

/** The routing query of the last `nTokens` tokens of `queries` [n, routeSize]: their mean, of unit length. */
export function groupQuery(queries: Float32Array, routeSize: number, nTokens: number): Float32Array {
  const sum = new Float32Array(routeSize);
  const from = Math.max(queries.length - nTokens * routeSize, 0);
  for (let at = from; at < queries.length; at++) sum[at % routeSize] += queries[at];
  return unitLength(sum);
}

/** x divided by its Euclidean length, or by 1e-6 where that is larger. */
export function unitLength(x: Float32Array): Float32Array {
  const length = Math.max(Math.hypot(...x), 1e-6);
  return x.map((value) => value / length);
}

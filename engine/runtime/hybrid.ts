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
  /** What the memory layer sees besides the text. */
  readonly memory?: MemoryTokens;
  readonly signal?: AbortSignal;
  /** How many of the last tokens' logits are wanted, by default the last one's alone; at most one run's. */
  readonly nRows?: number;
}

export interface ReadResult {
  /** [nRows, vocabSize] of the last tokens, valid until the next call. */
  readonly logits: Float32Array;
  /** [nRows, hiddenSize] that the logits are made of. */
  readonly hidden: Float32Array;
  /** The routing queries of the last tokens, routeGroup or all if fewer were read, and maybe more: [n, routeSize], see groupQuery. */
  readonly queries: Float32Array;
  /**
   * What the last routeGroup tokens, or all if fewer were read, ask memory keys for: [n, nHeads, headSize], with the score
   * scale multiplied in.
   */
  readonly heads: Float32Array;
  /** The last token's attention in the memory layer [nHeads, nKeys]: memory tokens first, then the rest. */
  readonly attention: Float32Array;
}

export interface HybridOptions extends SessionOptions {
  /** `float` is for comparison with the reference, `int8` (the default) for use. */
  readonly accuracy?: Accuracy;
}

export class HybridDecoder {
  readonly config: HybridConfig;
  readonly #session: InferenceSession;
  readonly #memoryTensors = new WeakMap<MemoryTokens, Record<string, Tensor>>();

  /** Compiles the model and opens a session. */
  static async open({ config, weights }: HybridModel, options: HybridOptions): Promise<HybridDecoder> {
    const graph = compileHybridDecoder(config, weights, MAX_RUN_TOKENS, options.accuracy ?? "int8");
    return new HybridDecoder(config, await createSession(graph, options));
  }

  private constructor(config: HybridConfig, session: InferenceSession) {
    this.config = config;
    this.#session = session;
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
    const memory = this.#memoryInputs(options.memory ?? NO_MEMORY);
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
    const feeds = {
      ids: int64([1, n], ids),
      rows: int64(
        [nRows],
        Array.from({ length: nRows }, (_, row) => n - nRows + row),
      ),
      ...biasRange(this.config.window, state.nWindow, n),
      ...memory,
      ...state.inputs(),
    };
    const fetches = { logits: null, hidden: null, query: null, heads: null, attention: null, ...state.outputs(n) };
    const results = await this.#session.run(feeds, fetches);
    state.advance(n);
    return {
      logits: results.logits.data as Float32Array,
      hidden: results.hidden.data as Float32Array,
      queries: results.query.data as Float32Array,
      heads: results.heads.data as Float32Array,
      attention: results.attention.data as Float32Array,
    };
  }

  /** The same tokens are seen by many runs, one for each token that is generated. */
  #memoryInputs(tokens: MemoryTokens): Record<string, Tensor> {
    const n = tokens.classes.length;
    const rows = (data: Float32Array) => new Tensor("float32", data, [n, this.config.headSize]);
    const inputs = this.#memoryTensors.get(tokens) ?? {
      "memory.keys": rows(tokens.keys),
      "memory.values": rows(tokens.values),
      "memory.classes": int64([n], [...tokens.classes]),
    };
    this.#memoryTensors.set(tokens, inputs);
    return inputs;
  }
}

const NO_MEMORY: MemoryTokens = {
  keys: new Float32Array(0),
  values: new Float32Array(0),
  classes: new Uint8Array(0),
};

const int64 = (shape: number[], values: readonly number[]) =>
  new Tensor("int64", BigInt64Array.from(values, BigInt), shape);

/** Which part of the windows' biases a run of `nTokens` behind `nPast` window keys needs, as inputs. */
export function biasRange(window: number, nPast: number, nTokens: number): Record<"bias_start" | "bias_end", Tensor> {
  const { start, end } = windowBiasRange(window, nPast, nTokens);
  return { bias_start: int64([2], start), bias_end: int64([2], end) };
}

/** The routing query of the last `nTokens` tokens of `queries` [n, routeSize]: their mean, of unit length. */
export function groupQuery(queries: Float32Array, routeSize: number, nTokens: number): Float32Array {
  const sum = new Float32Array(routeSize);
  const from = Math.max(queries.length - nTokens * routeSize, 0);
  for (let at = from; at < queries.length; at++) sum[at % routeSize] += queries[at];
  return unitLength(sum);
}

/** Of vectors of unit length. */
export const cosine = (a: Float32Array, b: Float32Array) => a.reduce((sum, x, i) => sum + x * b[i], 0);

/** x divided by its Euclidean length, or by 1e-6 where that is larger. */
export function unitLength(x: Float32Array): Float32Array {
  const length = Math.max(Math.hypot(...x), 1e-6);
  return x.map((value) => value / length);
}

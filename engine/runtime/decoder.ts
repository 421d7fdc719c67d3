/** Runs a compiled model: tokens in, logits out, keys and values appended to the cache. */
import { UNUSED } from "../attention/dense.ts";
import { type AttentionPlan, exactPlan } from "../attention/plan.ts";
import { ropeTables } from "../attention/rope.ts";
import { type CompileOptions, cacheType, compile } from "../compiler/compile.ts";
import { EmbeddingRows } from "../models/embedding-rows.ts";
import type { DecoderConfig, Weights } from "../models/types.ts";
import { type CacheArray, KvCache } from "./kv-cache.ts";
import { createSession, type InferenceSession, type SessionOptions, Tensor } from "./session.ts";

export interface DecoderOptions extends SessionOptions, Partial<CompileOptions> {
  readonly plan?: AttentionPlan;
}

export class Decoder {
  readonly #config: DecoderConfig;
  readonly #session: InferenceSession;
  readonly #cache: KvCache;
  /** The inputs that only change when the cache grows. */
  #fixed: Record<string, Tensor>;

  readonly #embeddings: EmbeddingRows;

  /** Compiles a model for `plan`, the exact one by default, and opens a session. Errors: as compile. */
  static async open(
    { config, weights }: { readonly config: DecoderConfig; readonly weights: Weights },
    options: DecoderOptions,
  ): Promise<Decoder> {
    const { plan = exactPlan(config), accuracy = "int8" } = options;
    const session = await createSession(compile(config, plan, weights, { accuracy }), options);
    return new Decoder(config, new KvCache(config, cacheType(accuracy)), weights, session);
  }

  private constructor(config: DecoderConfig, cache: KvCache, weights: Weights, session: InferenceSession) {
    this.#config = config;
    this.#session = session;
    this.#cache = cache;
    this.#embeddings = new EmbeddingRows(weights.matrix("token_embd"));
    this.#fixed = this.#bind();
  }

  /**
   * Reads `ids` behind the first `nPast` tokens of the cache. Returns the logits behind the ids with the indices
   * `rows`, [rows.length, vocabSize], valid until the next run.
   */
  async run(ids: readonly number[], nPast: number, rows: readonly number[]): Promise<Float32Array> {
    const n = ids.length;
    const total = nPast + n;
    if (this.#cache.reserve(total)) this.#fixed = this.#bind();
    const feeds = {
      ...this.#fixed,
      x: new Tensor("float32", this.#embeddings.read(ids), [1, n, this.#config.hiddenSize]),
      rows: new Tensor("int64", BigInt64Array.from(rows, BigInt), [rows.length]),
      is_single: new Tensor("bool", Uint8Array.of(n === 1 ? 1 : 0), [1]),
      position: new Tensor("int64", BigInt64Array.of(BigInt(nPast)), [1]),
      last_position: new Tensor("int32", Int32Array.of(total - 1), [1]),
      total_length: new Tensor("int32", Int32Array.of(total), [1]),
      bias: this.#bias(nPast),
    };
    const { logits, keys, values } = await this.#session.run(feeds);
    this.#cache.append(nPast, n, keys.data as CacheArray, values.data as CacheArray);
    return logits.data as Float32Array;
  }

  async close(): Promise<void> {
    this.#embeddings.close();
    await this.#session.release();
  }

  /** What leaves out the cache's unused rows. */
  #bias(nPast: number): Tensor {
    const { capacity } = this.#cache;
    const bias = new Float32Array(capacity + 1).fill(UNUSED, nPast, capacity);
    return new Tensor("float32", bias, [capacity + 1]);
  }

  #bind(): Record<string, Tensor> {
    const { nLayers, nKvHeads, headSize, rope } = this.#config;
    const { capacity, keys, values, type } = this.#cache;
    const { cos, sin } = ropeTables(rope, headSize, capacity);
    const tensors: Record<string, Tensor> = {
      cos: new Tensor("float32", cos, [capacity, headSize / 2]),
      sin: new Tensor("float32", sin, [capacity, headSize / 2]),
      parts: new Tensor("int64", BigInt64Array.of(BigInt(capacity), 1n), [2]),
    };
    for (let layer = 0; layer < nLayers; layer++) {
      const shape = [nKvHeads, capacity, headSize];
      tensors[`past.${layer}.key`] = new Tensor(type, keys[layer], shape);
      tensors[`past.${layer}.value`] = new Tensor(type, values[layer], shape);
    }
    return tensors;
  }
}

/** Runs a compiled model: tokens in, logits out, keys and values appended to the cache in place. */
import { cachedHeadSize } from "../attention/dense.ts";
import { ropeTables } from "../attention/rope.ts";
import type { DecoderConfig } from "../models/types.ts";
import type { OnnxModel } from "../onnx/graph.ts";
import { KvCache } from "./kv-cache.ts";
import { createSession, type InferenceSession, type SessionOptions, Tensor } from "./session.ts";

export class Decoder {
  readonly #config: DecoderConfig;
  readonly #session: InferenceSession;
  readonly #cache: KvCache;
  /** The inputs and outputs that only change when the cache grows. */
  #fixed: { feeds: Record<string, Tensor>; fetches: Record<string, Tensor> };

  /** Opens a session on a graph made by compile(). */
  static async open(config: DecoderConfig, model: OnnxModel, options: SessionOptions): Promise<Decoder> {
    return new Decoder(config, await createSession(model, options));
  }

  private constructor(config: DecoderConfig, session: InferenceSession) {
    this.#config = config;
    this.#session = session;
    this.#cache = new KvCache({ ...config, headSize: cachedHeadSize(config.headSize) });
    this.#fixed = this.#bind();
  }

  /**
   * Reads `ids` behind the first `nPast` tokens of the cache. Returns the logits behind the ids with the indices
   * `rows`, [rows.length, vocabSize], valid until the next run.
   */
  async run(ids: readonly number[], nPast: number, rows: readonly number[]): Promise<Float32Array> {
    const total = nPast + ids.length;
    if (this.#cache.reserve(total)) this.#fixed = this.#bind();
    const feeds = {
      ...this.#fixed.feeds,
      ids: new Tensor("int64", BigInt64Array.from(ids, BigInt), [1, ids.length]),
      rows: new Tensor("int64", BigInt64Array.from(rows, BigInt), [rows.length]),
      last_position: new Tensor("int32", Int32Array.of(total - 1), [1]),
      total_length: new Tensor("int32", Int32Array.of(total), [1]),
    };
    const { logits } = await this.#session.run(feeds, { logits: null, ...this.#fixed.fetches });
    return logits.data as Float32Array;
  }

  async close(): Promise<void> {
    await this.#session.release();
  }

  #bind() {
    const { nLayers, nKvHeads, headSize, rope } = this.#config;
    const { capacity, keys, values } = this.#cache;
    const cached = cachedHeadSize(headSize);
    const { cos, sin } = ropeTables(rope, headSize, capacity, cached / 2);
    const tableShape = [capacity, cached / 2];
    const feeds: Record<string, Tensor> = {
      cos: new Tensor("float32", cos, tableShape),
      sin: new Tensor("float32", sin, tableShape),
    };
    const fetches: Record<string, Tensor> = {};
    for (let layer = 0; layer < nLayers; layer++) {
      const shape = [1, nKvHeads, capacity, cached];
      feeds[`past.${layer}.key`] = fetches[`present.${layer}.key`] = new Tensor("float32", keys[layer], shape);
      feeds[`past.${layer}.value`] = fetches[`present.${layer}.value`] = new Tensor("float32", values[layer], shape);
    }
    return { feeds, fetches };
  }
}

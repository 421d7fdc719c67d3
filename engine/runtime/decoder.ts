/** Runs a compiled model: tokens in, logits out, keys and values appended to the caches. */
import { UNUSED } from "../attention/heads.ts";
import { type AttentionPlan, exactPlan, type HeadRole } from "../attention/plan.ts";
import { ropeTables } from "../attention/rope.ts";
import { fromSlots, toSlots } from "../attention/slots.ts";
import type { CacheType } from "../compiler/attention.ts";
import { type CompileOptions, cacheType, compile } from "../compiler/compile.ts";
import { EmbeddingRows } from "../models/embedding-rows.ts";
import type { DecoderConfig, Weights } from "../models/types.ts";
import { BlockChoices } from "./block-choices.ts";
import { DampedKeys } from "./damped-keys.ts";
import { hyperInputs } from "./hyper-inputs.ts";
import { asFloats, type CacheArray, type CacheShape, KvCache } from "./kv-cache.ts";
import { RingCache } from "./ring-cache.ts";
import { createSession, type InferenceSession, type SessionOptions, Tensor } from "./session.ts";

export interface DecoderOptions extends SessionOptions, Partial<CompileOptions> {
  /** How the model attends; exact by default. */
  readonly plan?: AttentionPlan;
}

/** Keys, not rotated, and values of `n` tokens: [retrieval heads of all layers, n, headSize] each. */
export interface PlacelessRows {
  readonly n: number;
  readonly keys: CacheArray;
  readonly values: CacheArray;
  /** The same of the heads that stream, where they shall see the tokens too. */
  readonly streaming?: { readonly keys: CacheArray; readonly values: CacheArray };
  /** Of a text that was read alone: whether its first token is the first of these, and so a sink. */
  readonly isStart?: boolean;
}

export class Decoder {
  /** The precision of keys and values. */
  readonly cacheType: CacheType;
  readonly #config: DecoderConfig;
  readonly #plan: AttentionPlan;
  readonly #session: InferenceSession;
  /** The names of the graph's inputs: a plan leaves out those it has no use for. */
  readonly #wanted: ReadonlySet<string>;
  readonly #embeddings: EmbeddingRows;
  readonly #cache: KvCache;
  /** Undefined where no head streams. */
  readonly #ring: RingCache | undefined;
  readonly #choices: BlockChoices;
  readonly #damped: DampedKeys;
  /** The inputs that only change when the cache grows. */
  #fixed: Record<string, Tensor>;

  /** Compiles a model for a plan and opens a session. Errors: as compile. */
  static async open(
    { config, weights }: { readonly config: DecoderConfig; readonly weights: Weights },
    options: DecoderOptions,
  ): Promise<Decoder> {
    const { plan = exactPlan(config), accuracy = "int8" } = options;
    const session = await createSession(compile(config, plan, weights, { accuracy }), options);
    return new Decoder(config, plan, accuracy, weights, session);
  }

  private constructor(
    config: DecoderConfig,
    plan: AttentionPlan,
    accuracy: CompileOptions["accuracy"],
    weights: Weights,
    session: InferenceSession,
  ) {
    this.#config = config;
    this.#plan = plan;
    this.#session = session;
    this.#wanted = new Set(session.inputNames);
    this.#embeddings = new EmbeddingRows(weights.matrix("token_embd"));
    this.cacheType = cacheType(accuracy);
    const shape = (kept: HeadRole): CacheShape => ({
      heads: plan.layers.map(({ heads }) => heads.flatMap((role, head) => (role === kept ? [head] : []))),
      nKvHeads: config.nKvHeads,
      headSize: config.headSize,
      type: this.cacheType,
    });
    this.#cache = new KvCache(shape("retrieval"));
    const streams = plan.layers.some(({ heads }) => heads.includes("streaming"));
    this.#ring = streams ? new RingCache(shape("streaming"), plan) : undefined;
    this.#damped = new DampedKeys(plan, config.nHeads / config.nKvHeads);
    this.#choices = new BlockChoices(plan, config, this.#cache);
    this.#fixed = this.#bind();
  }

  /**
   * Reads `ids` behind the first `nPast` tokens of the cache, which holds(nPast). Returns the logits behind the ids with
   * the indices `rows`, [rows.length, vocabSize], valid until the next run.
   */
  async run(ids: readonly number[], nPast: number, rows: readonly number[]): Promise<Float32Array> {
    const n = ids.length;
    const total = nPast + n;
    if (this.#cache.reserve(total)) this.#fixed = this.#bind();
    const available = {
      ...this.#fixed,
      x: new Tensor("float32", this.#embeddings.read(ids), [1, n, this.#config.hiddenSize]),
      rows: new Tensor("int64", BigInt64Array.from(rows, BigInt), [rows.length]),
      is_single: new Tensor("bool", Uint8Array.of(n === 1 ? 1 : 0), [1]),
      position: new Tensor("int64", BigInt64Array.of(BigInt(nPast)), [1]),
      last_position: new Tensor("int32", Int32Array.of(total - 1), [1]),
      total_length: new Tensor("int32", Int32Array.of(total), [1]),
      bias: this.#bias(nPast),
      ...this.#ringInputs(nPast, n),
      ...this.#choices.inputs(nPast, n),
      ...this.#hyperInputs(nPast, n, rows.length > 0),
      ...this.#damped.inputs(nPast, n),
    };
    const feeds = Object.fromEntries(Object.entries(available).filter(([name]) => this.#wanted.has(name)));
    const outputs = await this.#session.run(feeds);
    const [keys, values] = [outputs.keys.data as CacheArray, outputs.values.data as CacheArray];
    this.#cache.append(nPast, n, keys, values);
    this.#ring?.append(nPast, n, keys, values);
    this.#choices.appended(nPast, n);
    this.#choices.observe(outputs, n);
    this.#damped.observe(outputs, nPast, n);
    return outputs.logits.data as Float32Array;
  }

  /**
   * The keys and values of the `n` tokens from `first` on, as retrieval heads keep them, without positions: they can be
   * placed anywhere, in any decoder of the same model, plan and accuracy.
   */
  take(first: number, n: number): PlacelessRows {
    return { n, ...this.#placeless(this.#cache.copy(first, n), first, n) };
  }

  /** Like take, of the latest tokens, with what streaming heads keep of them. */
  takeAll(first: number, n: number): PlacelessRows {
    const streaming = this.#ring && this.#placeless(this.#ring.copy(first, n), first, n);
    return { ...this.take(first, n), streaming };
  }

  /**
   * Places tokens behind the first `nPast`, at the positions from there on, as if they stood in the text; streaming heads
   * only see them where rows of theirs are given. Their keys and values are those of the text they were read in, not of this one.
   */
  place(nPast: number, { n, keys, values, streaming, isStart }: PlacelessRows): void {
    if (this.#cache.reserve(nPast + n)) this.#fixed = this.#bind();
    this.#damped.place(nPast, n, isStart);
    this.#cache.paste(nPast, n, { keys: this.#turned(keys, nPast, n), values });
    this.#choices.appended(nPast, n);
    if (streaming) this.#ring?.paste(nPast, n, { ...streaming, keys: this.#turned(streaming.keys, nPast, n) });
    else this.#ring?.skip(nPast, n);
  }

  /** Whether a run can go on behind the first `nPast` tokens: streaming heads have forgotten what lies far back. */
  holds(nPast: number): boolean {
    return this.#ring?.holds(nPast) ?? true;
  }

  /** The blocks that a choosing layer chose last, best first. */
  chosenBy(layer: number): readonly number[] {
    return this.#choices.chosenBy(layer);
  }

  /** The placed keys that a layer's retrieval head damps, of which some may have been found by what was read behind them. */
  dampedBy(layer: number, head: number): readonly number[] {
    return this.#damped.of(layer, head);
  }

  /** The queries of the token that a choosing layer chose with last, rotated: [query heads that retrieve * headSize]. */
  queriesOf(layer: number): Float32Array {
    return this.#choices.queriesOf(layer);
  }

  /**
   * The share of its attention that each of those query heads gives to each of `n` tokens from `first` on, where all
   * `total` tokens are read: [query heads that retrieve, n].
   */
  attentionOf(layer: number, first: number, n: number, total: number): Float32Array {
    const { headSize, nHeads, nKvHeads } = this.#config;
    const queries = this.queriesOf(layer);
    const keys = asFloats(this.#cache.keys[layer]);
    const nGroup = nHeads / nKvHeads;
    const shares = new Float32Array((queries.length / headSize) * n);
    const scores = new Float64Array(total);
    for (let head = 0; head * headSize < queries.length; head++) {
      const from = Math.floor(head / nGroup) * this.#cache.capacity * headSize;
      let max = Number.NEGATIVE_INFINITY;
      for (let token = 0; token < total; token++) {
        let dot = 0;
        for (let i = 0; i < headSize; i++) dot += queries[head * headSize + i] * keys[from + token * headSize + i];
        scores[token] = dot / Math.sqrt(headSize);
        max = Math.max(max, scores[token]);
      }
      const sum = scores.reduce((all, score) => all + Math.exp(score - max), 0);
      for (let i = 0; i < n; i++) shares[head * n + i] = Math.exp(scores[first + i] - max) / sum;
    }
    return shares;
  }

  async close(): Promise<void> {
    this.#embeddings.close();
    await this.#session.release();
  }

  /** Takes the positions from `first` on out of keys. */
  #placeless(rows: { keys: CacheArray; values: CacheArray }, first: number, n: number) {
    fromSlots(asFloats(rows.keys), n, this.#config.headSize, this.#config.rope, first);
    return rows;
  }

  /** A copy of keys at the positions from `first` on. */
  #turned(keys: CacheArray, first: number, n: number): CacheArray {
    const turned = keys.slice();
    toSlots(asFloats(turned), n, this.#config.headSize, this.#config.rope, first);
    return turned;
  }

  /** What leaves out the cache's unused rows. */
  #bias(nPast: number): Tensor {
    const { capacity } = this.#cache;
    return new Tensor("float32", new Float32Array(capacity).fill(UNUSED, nPast), [capacity]);
  }

  /** A prompt's last run, whose logits are wanted, is read exactly. */
  #hyperInputs(nPast: number, n: number, isLast: boolean): Record<string, Tensor> {
    const { longPrompts } = this.#plan;
    if (longPrompts === undefined) return {};
    const isFar = n > 1 && !isLast && nPast >= longPrompts.fromTokens;
    return hyperInputs(longPrompts, nPast, n, this.#config.nHeads / this.#config.nKvHeads, isFar);
  }

  #ringInputs(nPast: number, n: number): Record<string, Tensor> {
    const ring = this.#ring;
    if (ring === undefined) return {};
    const nGroup = this.#config.nHeads / this.#config.nKvHeads;
    const { bias, ownBias } = ring.biases(nPast, n, nGroup);
    return {
      recent_bias: new Tensor("float32", bias, [n * nGroup, ring.slots]),
      own_bias: new Tensor("float32", ownBias, [n * nGroup, n]),
      recent_sizes: new Tensor("int64", BigInt64Array.of(BigInt(ring.slots), BigInt(n)), [2]),
    };
  }

  #bind(): Record<string, Tensor> {
    const { nLayers, headSize, rope } = this.#config;
    const { capacity } = this.#cache;
    const { cos, sin } = ropeTables(rope, headSize, capacity);
    this.#damped.resize(capacity);
    const inputs: Record<string, Tensor> = {
      cos: new Tensor("float32", cos, [capacity, headSize / 2]),
      sin: new Tensor("float32", sin, [capacity, headSize / 2]),
      "sizes.all": new Tensor("int64", BigInt64Array.of(BigInt(capacity), 1n), [2]),
      ...this.#choices.fixedInputs(),
    };
    const add = (name: string, arrays: readonly CacheArray[], length: number) => {
      for (let layer = 0; layer < nLayers; layer++) {
        const array = arrays[layer];
        const type = array instanceof Float32Array ? "float32" : "float16";
        const shape = [array.length / (length * headSize), length, headSize];
        inputs[name.replace("*", String(layer))] = new Tensor(type, array, shape);
      }
    };
    add("past.*.keys", this.#cache.keys, capacity);
    add("past.*.values", this.#cache.values, capacity);
    if (this.#ring) {
      add("recent.*.keys", this.#ring.keys, this.#ring.slots);
      add("recent.*.values", this.#ring.values, this.#ring.slots);
    }
    return inputs;
  }
}

/**
 * The default model as an encoder: files become memory (keys, values and landmarks), questions become routing queries.
 * Only the layers up to the memory layer run, for questions and spans those up to the landmark layer.
 */
import { compileHybridEncoder, compileHybridRouter, hybridState } from "../compiler/hybrid.ts";
import { LongsightError } from "../errors.ts";
import type { HybridModel } from "../models/hybrid.ts";
import type { HybridConfig } from "../models/hybrid-config.ts";
import type { Tokenizer } from "../models/types.ts";
import { biasRange, unitLength } from "./hybrid.ts";
import { quantiseRows, type StoredTokens } from "./hybrid-memory.ts";
import { HybridState } from "./hybrid-state.ts";
import { betweenRuns, createSession, type InferenceSession, type SessionOptions, Tensor } from "./session.ts";

/** Longer runs are no faster, and other work waits for one. */
const MAX_RUN_TOKENS = 128;

/** Lengths of the pairs of words and code that the routing was trained with, in tokens. */
const QUESTION_TOKENS = 32;
const SPAN_TOKENS = 96;
const PATH_TOKENS = 24;

/** Spans that are read in one run. */
const BATCH_SPANS = 16;

/** A function, class or other stretch of a file. */
export interface CodeSpan {
  /** The file's path relative to the repository root, with "/". */
  readonly path: string;
  readonly text: string;
}

/** What an encoder carries from run to run. */
export class HybridEncoderState {
  readonly router: HybridState;
  readonly encoder: HybridState;

  private constructor(router: HybridState, encoder: HybridState) {
    this.router = router;
    this.encoder = encoder;
  }

  /** The state before the first token. */
  static start(config: HybridConfig): HybridEncoderState {
    return new HybridEncoderState(new HybridState(config, "router"), new HybridState(config, "encoder"));
  }

  get nTokens(): number {
    return this.encoder.nTokens;
  }

  get sizeBytes(): number {
    return this.router.sizeBytes + this.encoder.sizeBytes;
  }

  fork(): HybridEncoderState {
    return new HybridEncoderState(this.router.fork(), this.encoder.fork());
  }

  /** All of the state as one array: how long the router's is, it, the encoder's. */
  save(): Float32Array {
    const [router, encoder] = [this.router.save(), this.encoder.save()];
    const saved = new Float32Array(1 + router.length + encoder.length);
    saved[0] = router.length;
    saved.set(router, 1);
    saved.set(encoder, 1 + router.length);
    return saved;
  }

  /** The state that `save` gave. Errors: bad-input where it is not one of this model. */
  static restore(config: HybridConfig, saved: Float32Array): HybridEncoderState {
    const end = 1 + saved[0];
    return new HybridEncoderState(
      HybridState.restore(config, "router", saved.subarray(1, end)),
      HybridState.restore(config, "encoder", saved.subarray(end)),
    );
  }
}

export interface EncodeOptions<State = HybridEncoderState> {
  /** Observed between two session runs. */
  readonly signal?: AbortSignal;
  /** Runs a session run when its turn has come. */
  readonly turn?: <T>(run: () => Promise<T>) => Promise<T>;
  /** The state after a beginning of the sequence: reading goes on there. It is moved on. */
  readonly from?: State;
  /** Called after each run with the state behind it, which the next run moves on. */
  onState?(state: State): void;
}

export class HybridEncoder {
  readonly config: HybridConfig;
  readonly #router: InferenceSession;
  readonly #encoder: InferenceSession;
  readonly #tokenizer: Tokenizer;

  /** Compiles the encoder's parts of the model and opens a session for each. */
  static async open({ config, weights }: HybridModel, tokenizer: Tokenizer, options: SessionOptions) {
    const router = await createSession(compileHybridRouter(config, weights), options);
    const encoder = await createSession(compileHybridEncoder(config, weights, runTokens(config)), options);
    return new HybridEncoder(config, tokenizer, router, encoder);
  }

  private constructor(config: HybridConfig, tokenizer: Tokenizer, router: InferenceSession, encoder: InferenceSession) {
    this.config = config;
    this.#tokenizer = tokenizer;
    this.#router = router;
    this.#encoder = encoder;
  }

  /**
   * Reads a sequence from its start. Errors: bad-input for ids outside the vocabulary or no ids, cancelled (observed
   * between two session runs).
   */
  async encode(ids: readonly number[], signal?: AbortSignal): Promise<EncodedText> {
    const parts: EncodedText[] = [];
    for await (const part of this.encodeParts(ids, { signal })) parts.push(part);
    return EncodedText.joined(parts);
  }

  /**
   * Like `encode`, one run after another, so that a long file needs no more memory than a short one. Every part but the
   * last holds whole blocks. `turn` is called for each session run and starts it when it may.
   */
  async *encodeParts(ids: readonly number[], options: EncodeOptions = {}) {
    const { signal, turn = (run) => run(), from, onState } = options;
    const { vocabSize } = this.config;
    const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize);
    if (wrong !== undefined || ids.length === 0) {
      throw new LongsightError(
        "bad-input",
        `The text has no tokens, or not this model's (${wrong}); use its tokenizer.`,
      );
    }
    const state = from ?? HybridEncoderState.start(this.config);
    const nRun = runTokens(this.config);
    while (state.nTokens < ids.length) {
      await betweenRuns(signal);
      const part = await turn(() => this.#encodeRun(ids.slice(state.nTokens, state.nTokens + nRun), state));
      onState?.(state);
      yield part;
    }
  }

  /** The state behind the first `nTokens` of a file that `save` gave. Errors: bad-input where it is not one of this model. */
  restore(nTokens: number, saved: Float32Array): HybridEncoderState {
    const state = HybridEncoderState.restore(this.config, saved);
    if (state.nTokens === nTokens && state.router.nTokens === nTokens) return state;
    throw new LongsightError("bad-input", "The saved state stands behind other tokens; read the text again.");
  }

  async #encodeRun(ids: readonly number[], state: HybridEncoderState): Promise<EncodedText> {
    const { headSize, window } = this.config;
    const n = ids.length;
    const { below, routing } = await this.#routeRun(ids, state.router);
    const keys = new Float32Array(n * headSize);
    const values = new Float32Array(n * headSize);
    await this.#encoder.run(
      { below, ...biasRange(window, state.encoder.nWindow, n), ...state.encoder.inputs() },
      {
        keys: new Tensor("float32", keys, [1, n, headSize]),
        values: new Tensor("float32", values, [1, n, headSize]),
        ...state.encoder.outputs(n),
      },
    );
    // Both or neither: a run that fails leaves the state as it was.
    state.router.advance(n);
    state.encoder.advance(n);
    return new EncodedText(this.config, keys, values, routing);
  }

  /** Runs the layers below the landmark layer; the state is not moved on. */
  async #routeRun(ids: readonly number[], state: HybridState): Promise<{ below: Tensor; routing: Float32Array }> {
    const { below, routing } = await this.#router.run(
      { ids: new Tensor("int64", BigInt64Array.from(ids, BigInt), [1, ids.length]), ...state.inputs() },
      { below: null, routing: null, ...state.outputs(ids.length) },
    );
    return { below, routing: routing.data as Float32Array };
  }

  /** The ids of a file as memory sees it: a header with its path, and its text. */
  fileIds(path: string, text: string): number[] {
    const { file, eot } = this.config.specialTokens;
    return [file, ...this.#tokenizer.encode(path), ...this.#tokenizer.encode(`\n${plainLineEnds(text)}`), eot];
  }

  /** The routing query [routeSize], of unit length, of a question in words: close to landmarks of code that fits. */
  async embedQuestion(text: string, signal?: AbortSignal): Promise<Float32Array> {
    const { doc, ask } = this.config.specialTokens;
    const words = this.#tokenizer.encode(` ${text.trim().replace(/\s+/g, " ")}`).slice(0, QUESTION_TOKENS - 2);
    await betweenRuns(signal);
    const { routing } = await this.#routeRun([doc, ...words, ask], new HybridState(this.config, "router"));
    const { routeSize } = this.config;
    return unitLength(routing.slice(-routeSize - 1, -1));
  }

  /**
   * The landmarks [routeSize], of unit length, of the beginnings of functions or other spans of code. Errors: cancelled,
   * observed between two session runs.
   */
  async embedSpans(spans: readonly CodeSpan[], signal?: AbortSignal): Promise<Float32Array[]> {
    const sequences = spans.map(({ path, text }) => {
      const header = [this.config.specialTokens.file, ...this.#tokenizer.encode(path).slice(-PATH_TOKENS)];
      const code = this.#tokenizer.encode(`\n${plainLineEnds(text)}`).slice(0, SPAN_TOKENS - header.length);
      return { ids: [...header, ...code], start: header.length };
    });
    const landmarks: Float32Array[] = [];
    for (let at = 0; at < sequences.length; at += BATCH_SPANS) {
      await betweenRuns(signal);
      landmarks.push(...(await this.#embedBatch(sequences.slice(at, at + BATCH_SPANS))));
    }
    return landmarks;
  }

  /** The landmarks of the tokens from `start` on of each sequence. */
  async #embedBatch(sequences: readonly { ids: readonly number[]; start: number }[]): Promise<Float32Array[]> {
    const n = sequences.reduce((max, { ids }) => Math.max(max, ids.length), 0);
    // Shorter sequences are filled up behind their end, which no earlier token sees.
    const ids = new BigInt64Array(sequences.length * n);
    for (const [row, sequence] of sequences.entries()) ids.set(sequence.ids.map(BigInt), row * n);
    const feeds: Record<string, Tensor> = { ids: new Tensor("int64", ids, [sequences.length, n]) };
    for (const [name, [, ...rest]] of hybridState(this.config, "router", 0)) {
      const shape = [sequences.length, ...rest];
      const zeros = new Float32Array(shape.reduce((product, size) => product * size));
      feeds[`past.${name}`] = new Tensor("float32", zeros, shape);
    }
    const { routing } = await this.#router.run(feeds, ["routing"]);
    const width = 2 * this.config.routeSize + 1;
    return sequences.map((sequence, row) => {
      const own = (routing.data as Float32Array).subarray(row * n * width, (row * n + sequence.ids.length) * width);
      return pooled(own, this.config.routeSize, sequence.start, sequence.ids.length);
    });
  }

  async close(): Promise<void> {
    await Promise.all([this.#router.release(), this.#encoder.release()]);
  }
}

/** Tokens of one run of a file, whole blocks. */
const runTokens = ({ blockSize }: HybridConfig) => Math.max(MAX_RUN_TOKENS - (MAX_RUN_TOKENS % blockSize), blockSize);

/** What the model made of a text. */
export class EncodedText {
  readonly #config: HybridConfig;
  readonly #keys: Float32Array;
  readonly #values: Float32Array;
  /** Per token: routing key, routing query, pooling logit. */
  readonly #routing: Float32Array;

  constructor(config: HybridConfig, keys: Float32Array, values: Float32Array, routing: Float32Array) {
    this.#config = config;
    this.#keys = keys;
    this.#values = values;
    this.#routing = routing;
  }

  /** The text of consecutive parts. */
  static joined(parts: readonly EncodedText[]): EncodedText {
    const join = (of: (part: EncodedText) => Float32Array) => {
      const whole = new Float32Array(parts.reduce((sum, part) => sum + of(part).length, 0));
      let at = 0;
      for (const part of parts) {
        whole.set(of(part), at);
        at += of(part).length;
      }
      return whole;
    };
    return new EncodedText(
      parts[0].#config,
      join((part) => part.#keys),
      join((part) => part.#values),
      join((part) => part.#routing),
    );
  }

  get nTokens(): number {
    return this.#keys.length / this.#config.headSize;
  }

  /** Keys and values of tokens start .. end - 1 in their stored form. */
  stored(start = 0, end = this.nTokens): StoredTokens {
    const { headSize } = this.#config;
    const quantised = (rows: Float32Array) => quantiseRows(rows.subarray(start * headSize, end * headSize), headSize);
    return { keys: quantised(this.#keys), values: quantised(this.#values) };
  }

  /** The landmarks of the text's blocks, [nBlocks, routeSize], each of unit length. */
  landmarks(): Float32Array {
    const { blockSize, routeSize } = this.#config;
    const nBlocks = Math.ceil(this.nTokens / blockSize);
    const all = new Float32Array(nBlocks * routeSize);
    for (let block = 0; block < nBlocks; block++) {
      const end = Math.min((block + 1) * blockSize, this.nTokens);
      all.set(this.landmark(block * blockSize, end), block * routeSize);
    }
    return all;
  }

  /** The landmark [routeSize] of tokens start .. end - 1. */
  landmark(start: number, end: number): Float32Array {
    return pooled(this.#routing, this.#config.routeSize, start, end);
  }
}

/**
 * The landmark of tokens start .. end - 1: their routing keys, pooled with softmax weights, of unit length. `routing`
 * [nTokens, 2 routeSize + 1] holds of every token its routing key, its routing query and its pooling logit.
 */
function pooled(routing: Float32Array, routeSize: number, start: number, end: number): Float32Array {
  const width = 2 * routeSize + 1;
  let max = Number.NEGATIVE_INFINITY;
  for (let t = start; t < end; t++) max = Math.max(max, routing[(t + 1) * width - 1]);
  const sum = new Float32Array(routeSize);
  // The softmax's denominator only changes the length, which is 1 in the end.
  for (let t = start; t < end; t++) {
    const weight = Math.exp(routing[(t + 1) * width - 1] - max);
    for (let i = 0; i < routeSize; i++) sum[i] += weight * routing[t * width + i];
  }
  return unitLength(sum);
}

const plainLineEnds = (text: string) => text.replaceAll("\r\n", "\n");

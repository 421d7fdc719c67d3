/**
 * The slow, obvious forward pass of the default model (engine/models/default/FORMAT.md): one token at a time, linear
 * attention by its quadratic definition, sums in float64. Every fast path is tested against it; nothing else uses it.
 */
import { shares } from "./attention/merge.ts";
import { type HybridConfig, MEMORY_CLASSES } from "./models/hybrid-config.ts";
import { expanded } from "./models/quantise.ts";
import type { Matrix, Weights } from "./models/types.ts";

/** Memory tokens that the memory layer sees at every position of a sequence. `classes` index MEMORY_CLASSES. */
export interface ReferenceMemory {
  readonly keys: readonly Float64Array[]; // [M][headSize]
  readonly values: readonly Float64Array[]; // [M][headSize]
  readonly classes: readonly number[]; // [M]
}

/** What a layer remembers of the tokens before, one entry a token. */
interface History {
  /** The mixer's normalised input. [t][hiddenSize] */
  readonly inputs: Float64Array[];
  /** Projections before the convolution. [t][channels] */
  readonly projections: Float64Array[];
  /** After the convolution: lightning [t][hiddenSize], retrieval [t][headSize]. */
  readonly keys: Float64Array[];
  readonly values: Float64Array[];
}

const NO_MEMORY: ReferenceMemory = { keys: [], values: [], classes: [] };

/** One sequence. */
export class HybridReference {
  readonly #config: HybridConfig;
  readonly #weights: Weights;
  readonly #memory: ReferenceMemory;
  readonly #history: History[];

  constructor(config: HybridConfig, weights: Weights, memory: ReferenceMemory = NO_MEMORY) {
    this.#config = config;
    this.#weights = weights;
    this.#memory = memory;
    this.#history = config.layers.map(() => ({ inputs: [], projections: [], keys: [], values: [] }));
  }

  /** Reads tokens one after another; the logits [vocabSize] of the last. */
  read(ids: readonly number[]): Float64Array {
    const { vocabSize, normEps } = this.#config;
    const h = ids.map((id) => this.#step(id))[ids.length - 1];
    const normed = multiplied(srms(h, normEps), this.#weights.vector("output_norm"));
    return matrixVector(floats(this.#weights.matrix("token_embd")), vocabSize, normed);
  }

  /** What a file that was read gives to memory: keys and values [t][headSize], one landmark [routeSize] a block. */
  get memory(): { keys: Float64Array[]; values: Float64Array[]; landmarks: Float64Array[] } {
    const { landmarkLayer, memoryLayer, blockSize } = this.#config;
    const { inputs } = this.#history[landmarkLayer];
    const { keys, values } = this.#history[memoryLayer];
    const landmarks: Float64Array[] = [];
    for (let start = 0; start < inputs.length; start += blockSize) {
      landmarks.push(this.#landmark(inputs.slice(start, start + blockSize)));
    }
    return { keys, values, landmarks };
  }

  /** The routing query [routeSize] of the landmark or the memory layer for the last `nTokens` tokens. */
  query(layer: number, nTokens: number): Float64Array {
    const tokens = this.#history[layer].inputs.slice(-nTokens);
    const mean = tokens.reduce(add).map((sum) => sum / tokens.length);
    return unit(this.#linear(layer, "route_q", mean));
  }

  /** Runs one more token through the layers; the hidden vector [hiddenSize] above them. */
  #step(id: number): Float64Array {
    const { hiddenSize, normEps, layers } = this.#config;
    const embedding = floats(this.#weights.matrix("token_embd"));
    let h = Float64Array.from(embedding.subarray(id * hiddenSize, (id + 1) * hiddenSize));
    for (const [layer, kind] of layers.entries()) {
      const u = srms(h, normEps);
      h = add(h, kind === "lightning" ? this.#lightning(layer, u) : this.#retrieval(layer, u));
      h = add(h, this.#feedForward(layer, srms(h, normEps)));
    }
    return h;
  }

  #landmark(inputs: readonly Float64Array[]): Float64Array {
    const layer = this.#config.landmarkLayer;
    const pool = this.#weights.vector(`blk.${layer}.route_pool`);
    const weights = shares(inputs.map((u) => dot(u, pool)));
    return unit(inputs.map((u, t) => this.#linear(layer, "route_k", u).map((x) => x * weights[t])).reduce(add));
  }

  #linear(layer: number, name: string, x: Float64Array): Float64Array {
    const matrix = this.#weights.matrix(`blk.${layer}.${name}`);
    return matrixVector(floats(matrix), matrix.rows, x);
  }

  #feedForward(layer: number, u: Float64Array): Float64Array {
    const up = this.#linear(layer, "ffn_up", u);
    return this.#linear(layer, "ffn_down", multiplied(up, this.#linear(layer, "ffn_gate", u)));
  }

  /** Depthwise causal convolution at the newest of the layer's projections. */
  #convolve(layer: number): Float64Array {
    const filter = this.#weights.vector(`blk.${layer}.conv`);
    const newestFirst = this.#history[layer].projections.slice(-3).reverse();
    return newestFirst[0].map((_, ch) => newestFirst.reduce((sum, p, a) => sum + filter[3 * ch + a] * p[ch], 0));
  }

  #lightning(layer: number, u: Float64Array): Float64Array {
    const { hiddenSize: d, nHeads, headSize: c, normEps } = this.#config;
    const history = this.#history[layer];
    history.projections.push(this.#linear(layer, "attn_qkv", u));
    const p = this.#convolve(layer);
    const q = p.slice(0, d).map(silu);
    history.keys.push(p.slice(d, 2 * d).map(silu));
    history.values.push(p.slice(2 * d));
    const decay = this.#weights.vector(`blk.${layer}.decay`);
    const mixed = new Float64Array(d);
    for (let head = 0; head < nHeads; head++) {
      const of = (x: Float64Array) => x.subarray(head * c, (head + 1) * c);
      const out = new Float64Array(c);
      history.keys.forEach((key, j) => {
        const weight = Math.exp(-decay[head] * (history.keys.length - 1 - j)) * dot(of(q), of(key));
        of(history.values[j]).forEach((value, i) => {
          out[i] += weight * value;
        });
      });
      mixed.set(srms(out, normEps), head * c);
    }
    const gate = this.#linear(layer, "gate_up", this.#linear(layer, "gate_down", u)).map(sigmoid);
    return this.#linear(layer, "attn_output", multiplied(mixed, gate));
  }

  #retrieval(layer: number, u: Float64Array): Float64Array {
    const { hiddenSize: d, nHeads, headSize: c, normEps, window } = this.#config;
    const vector = (name: string) => this.#weights.vector(`blk.${layer}.${name}`);
    const history = this.#history[layer];
    history.inputs.push(u);
    history.projections.push(
      Float64Array.of(...this.#linear(layer, "attn_q", u), ...this.#linear(layer, "attn_kv", u)),
    );
    const p = this.#convolve(layer);
    history.keys.push(multiplied(srms(p.slice(d, d + c), normEps), vector("k_norm")));
    history.values.push(p.slice(d + c));

    const { keys, values, classes } = layer === this.#config.memoryLayer ? this.#memory : NO_MEMORY;
    const nearKeys = history.keys.slice(-window);
    const nearValues = history.values.slice(-window);
    const nClasses = MEMORY_CLASSES.length;
    const mixed = new Float64Array(d);
    for (let head = 0; head < nHeads; head++) {
      const gain = vector("q_norm").subarray(head * c, (head + 1) * c);
      const q = multiplied(srms(p.slice(head * c, (head + 1) * c), normEps), gain);
      const score = (key: Float64Array) => dot(q, key) / Math.sqrt(c);
      const weights = shares([
        ...nearKeys.map((key, j) => score(key) + vector("window_bias")[head * window + nearKeys.length - 1 - j]),
        ...keys.map((key, m) => score(key) + vector("class_bias")[head * nClasses + classes[m]]),
        vector("sink")[head],
      ]);
      // The sink is the last score: it has no value.
      [...nearValues, ...values].forEach((value, j) => {
        for (let i = 0; i < c; i++) mixed[head * c + i] += weights[j] * value[i];
      });
    }
    return this.#linear(layer, "attn_output", mixed);
  }
}

type Floats = Float64Array | Float32Array;

const FLOATS = new WeakMap<Matrix, Float32Array>();

function floats(matrix: Matrix): Float32Array {
  const data = FLOATS.get(matrix) ?? expanded(matrix).data;
  FLOATS.set(matrix, data);
  return data;
}

function matrixVector(matrix: Float32Array, rows: number, x: Float64Array): Float64Array {
  const cols = x.length;
  return Float64Array.from({ length: rows }, (_, row) => {
    let sum = 0;
    for (let col = 0; col < cols; col++) sum += matrix[row * cols + col] * x[col];
    return sum;
  });
}

function dot(a: Floats, b: Floats): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

const add = (a: Float64Array, b: Float64Array): Float64Array<ArrayBuffer> => Float64Array.from(a, (x, i) => x + b[i]);
const multiplied = (a: Float64Array, b: Floats) => Float64Array.from(a, (x, i) => x * b[i]);
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const silu = (x: number) => x * sigmoid(x);

function srms(x: Float64Array, eps: number): Float64Array {
  const scale = 1 / Math.sqrt(dot(x, x) / x.length + eps);
  return x.map((value) => value * scale);
}

function unit(x: Float64Array): Float64Array {
  const norm = Math.max(Math.sqrt(dot(x, x)), 1e-6);
  return x.map((value) => value / norm);
}

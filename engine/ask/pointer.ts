/**
 * The pointer: a small network that reads all candidates of an answer at once and says how likely each is a part of it
 * (Pointer Networks, arXiv 1506.03134). engine/training/pointer.py defines and trains it; here only its first choice is
 * made. It knows no order: candidates in another order get the same numbers.
 */
import { join } from "node:path";
import { shares } from "../attention/merge.ts";
import { readTensors, type Tensors } from "../models/shipped-tensors.ts";
import { defaultModelDir } from "../paths.ts";
import { type Candidates, QUERY_FEATURES, UNIT_FEATURES } from "./candidates.ts";

/** Scores lie within it. */
const BOUND = 10;
const HEADS = 4;
const LAYERS = 2;
const NORM_EPS = 1e-5;

export interface Pointed {
  /** By unit: how likely it is chosen first. */
  readonly probabilities: Float32Array;
  /** How likely no unit is. */
  readonly none: number;
}

export class Pointer {
  readonly #tensors: Tensors;
  readonly #width: number;

  constructor(tensors: Tensors) {
    this.#tensors = tensors;
    this.#width = this.#get("stop").length;
  }

  /** The shipped one. */
  static open(): Pointer {
    shipped ??= new Pointer(readTensors(join(defaultModelDir, "pointer.safetensors")));
    return shipped;
  }

  point({ units, features, query }: Candidates): Pointed {
    const d = this.#width;
    const asked = this.#linear("ask", query, QUERY_FEATURES);
    // Row 0 is "none".
    const e = new Float32Array((units.length + 1) * d);
    e.set(this.#get("stop"));
    e.set(this.#linear("embed", features, UNIT_FEATURES), d);
    for (let i = 0; i < e.length; i++) e[i] += asked[i % d];
    for (let layer = 0; layer < LAYERS; layer++) this.#attend(e, `layers.${layer}`);
    const seen = this.#norm("norm", e);
    const start = this.#linear("start", Float32Array.from([...asked, ...seen.subarray(0, d)]), 2 * d).map(Math.tanh);
    const keys = product(seen, this.#get("pointer.w1"), d);
    const wanted = product(start, this.#get("pointer.w2"), d);
    const v = this.#get("pointer.v");
    const scores = Array.from({ length: units.length + 1 }, (_, row) => {
      let sum = 0;
      for (let i = 0; i < d; i++) sum += v[i] * Math.tanh(keys[row * d + i] + wanted[i]);
      return BOUND * Math.tanh(sum);
    });
    const [none, ...probabilities] = shares(scores);
    return { none, probabilities: Float32Array.from(probabilities) };
  }

  /** Attention among all rows of `e` and a feed-forward layer, both added in place. */
  #attend(e: Float32Array, name: string): void {
    const d = this.#width;
    const n = e.length / d;
    const size = d / HEADS;
    const qkv = this.#linear(`${name}.qkv`, this.#norm(`${name}.norm1`, e), d);
    const read = new Float32Array(e.length);
    for (let head = 0; head < HEADS; head++) {
      const at = head * size;
      for (let row = 0; row < n; row++) {
        const query = qkv.subarray(row * 3 * d + at, row * 3 * d + at + size);
        const scores = Array.from({ length: n }, (_, other) => {
          const key = other * 3 * d + d + at;
          let sum = 0;
          for (let i = 0; i < size; i++) sum += query[i] * qkv[key + i];
          return sum / Math.sqrt(size);
        });
        for (const [other, weight] of shares(scores).entries()) {
          const value = other * 3 * d + 2 * d + at;
          for (let i = 0; i < size; i++) read[row * d + at + i] += weight * qkv[value + i];
        }
      }
    }
    add(e, this.#linear(`${name}.out`, read, d));
    const up = this.#linear(`${name}.up`, this.#norm(`${name}.norm2`, e), d).map((x) => Math.max(0, x));
    add(e, this.#linear(`${name}.down`, up, 2 * d));
  }

  /** x [n, cols] times a weight [rows, cols], and its bias: [n, rows]. */
  #linear(name: string, x: Float32Array, cols: number): Float32Array {
    const bias = this.#get(`${name}.bias`);
    const y = product(x, this.#get(`${name}.weight`), cols);
    for (let i = 0; i < y.length; i++) y[i] += bias[i % bias.length];
    return y;
  }

  #norm(name: string, x: Float32Array): Float32Array {
    const [gain, bias] = [this.#get(`${name}.weight`), this.#get(`${name}.bias`)];
    const d = gain.length;
    const y = new Float32Array(x.length);
    for (let start = 0; start < x.length; start += d) {
      const row = x.subarray(start, start + d);
      const mean = row.reduce((sum, value) => sum + value, 0) / d;
      const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / d;
      for (let i = 0; i < d; i++) y[start + i] = ((row[i] - mean) / Math.sqrt(variance + NORM_EPS)) * gain[i] + bias[i];
    }
    return y;
  }

  #get(name: string): Float32Array {
    const tensor = this.#tensors.get(name);
    if (!tensor) throw new Error(`The pointer has no tensor ${name}.`);
    return tensor;
  }
}

let shipped: Pointer | undefined;

/** x [n, cols] times the transpose of w [rows, cols]. */
function product(x: Float32Array, w: Float32Array, cols: number): Float32Array {
  const rows = w.length / cols;
  const n = x.length / cols;
  const y = new Float32Array(n * rows);
  for (let i = 0; i < n; i++) {
    for (let row = 0; row < rows; row++) {
      let sum = 0;
      for (let k = 0; k < cols; k++) sum += x[i * cols + k] * w[row * cols + k];
      y[i * rows + row] = sum;
    }
  }
  return y;
}

function add(to: Float32Array, x: Float32Array): void {
  for (let i = 0; i < to.length; i++) to[i] += x[i];
}

/**
 * How firm a choice among scores is: the smallest change of them that puts another one first, in standard deviations of
 * the scores. That is the margin of the first over the second, over the square root of 2. At least two scores.
 */
export function stability(scores: readonly number[]): number {
  const [first, second] = [...scores].sort((a, b) => b - a);
  const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
  const deviation = Math.sqrt(scores.reduce((sum, score) => sum + (score - mean) ** 2, 0) / scores.length);
  return (first - second) / Math.SQRT2 / Math.max(deviation, 1e-12);
}

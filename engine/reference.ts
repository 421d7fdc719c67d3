/**
 * The slow, obvious forward pass of a Llama, Qwen2 or Qwen3 decoder: one position after the other, key after key, sums in
 * float64. Every fast path is tested against it; nothing else uses it.
 */
import { damped } from "./attention/calibration.ts";
import { finished, merge, nothing, single } from "./attention/merge.ts";
import { ropeTables } from "./attention/rope.ts";
import { expanded } from "./models/quantise.ts";
import type { DecoderConfig, Matrix, Weights } from "./models/types.ts";

/** Whether the query at one position attends to the key at another, earlier one or its own. */
export type Attends = (layer: number, kvHead: number, query: number, key: number) => boolean;

/** Told of every query head's shares of all keys up to its own, 0 where it does not attend: [query + 1]. */
export type OnShares = (layer: number, head: number, query: number, shares: Float64Array) => void;

/** The keys that a head damps as sinks, and the part of their attention that they keep. */
export interface Damping {
  readonly keep: number;
  readonly isSink: (layer: number, kvHead: number, query: number, key: number) => boolean;
}

/**
 * Logits for every position, [ids.length][vocabSize]: with dense attention, or with what `attends` leaves of it, in which
 * sinks are damped; shares are told as they are before that.
 */
export function referenceLogits(
  config: DecoderConfig,
  weights: Weights,
  ids: readonly number[],
  attends: Attends = () => true,
  onShares?: OnShares,
  damping?: Damping,
): Float64Array[] {
  const { headSize, nHeads, nKvHeads, normEps } = config;
  const embedding = dequantise(weights.matrix("token_embd"));
  const output = config.tiedEmbeddings ? embedding : dequantise(weights.matrix("output"));
  const rope = ropeTables(config.rope, headSize, ids.length);

  // x: [position][hiddenSize]
  let x: Float64Array[] = ids.map((id) => embedding.slice(id * config.hiddenSize, (id + 1) * config.hiddenSize));
  for (let layer = 0; layer < config.nLayers; layer++) {
    const vector = (name: string) => weights.vector(`blk.${layer}.${name}`);
    const bias = (name: string) => (config.qkvBias ? vector(`${name}.bias`) : undefined);
    const linear = (name: string) => {
      const matrix = weights.matrix(`blk.${layer}.${name}`);
      const dense = dequantise(matrix);
      return (input: Float64Array, b?: Float32Array) => multiply(dense, matrix.rows, input, b);
    };

    // q: [position][nHeads * headSize], k and v: [position][nKvHeads * headSize]
    const normed = x.map((row) => rmsNorm(row, vector("attn_norm"), normEps));
    const [toQ, toK, toV] = [linear("attn_q"), linear("attn_k"), linear("attn_v")];
    const v = normed.map((row) => toV(row, bias("attn_v")));
    const place = (row: Float64Array, name: string, nRowHeads: number, position: number) => {
      const heads: Float64Array[] = [];
      for (let head = 0; head < nRowHeads; head++) {
        let one: Float64Array = row.slice(head * headSize, (head + 1) * headSize);
        if (config.qkNorm) one = rmsNorm(one, vector(`${name}_norm`), normEps);
        heads.push(rotate(one, rope.cos, rope.sin, position));
      }
      return heads;
    };
    const q = normed.map((row, position) => place(toQ(row, bias("attn_q")), "attn_q", nHeads, position));
    const k = normed.map((row, position) => place(toK(row, bias("attn_k")), "attn_k", nKvHeads, position));

    const toOutput = linear("attn_output");
    x = x.map((row, position) => {
      const mixed = new Float64Array(nHeads * headSize);
      for (let head = 0; head < nHeads; head++) {
        const kvHead = Math.floor(head / (nHeads / nKvHeads));
        const scores = new Float64Array(position + 1).fill(Number.NEGATIVE_INFINITY);
        let [attended, sinks] = [nothing(headSize), nothing(headSize)];
        for (let past = 0; past <= position; past++) {
          if (!attends(layer, kvHead, position, past)) continue;
          scores[past] = dot(q[position][head], k[past][kvHead]) / Math.sqrt(headSize);
          const value = v[past].slice(kvHead * headSize, (kvHead + 1) * headSize);
          const one = single(scores[past], value);
          if (damping?.isSink(layer, kvHead, position, past)) sinks = merge(sinks, one);
          else attended = merge(attended, one);
        }
        mixed.set(damping ? damped(sinks, attended, damping.keep) : finished(attended), head * headSize);
        const { max, denominator } = merge(sinks, attended);
        onShares?.(
          layer,
          head,
          position,
          scores.map((score) => Math.exp(score - max) / denominator),
        );
      }
      return add(row, toOutput(mixed));
    });

    const [toGate, toUp, toDown] = [linear("ffn_gate"), linear("ffn_up"), linear("ffn_down")];
    x = x.map((row) => {
      const input = rmsNorm(row, vector("ffn_norm"), normEps);
      const gate = toGate(input);
      const up = toUp(input);
      return add(row, toDown(gate.map((g, i) => (g / (1 + Math.exp(-g))) * up[i])));
    });
  }
  return x.map((row) => multiply(output, config.vocabSize, rmsNorm(row, weights.vector("output_norm"), normEps)));
}

/** The float64 values of a matrix, [rows, cols]. */
export function dequantise(matrix: Matrix): Float64Array {
  return Float64Array.from(expanded(matrix).data);
}

/** matrix [rows, input.length] times input, plus bias [rows]. */
function multiply(matrix: Float64Array, rows: number, input: Float64Array, bias?: Float32Array): Float64Array {
  const cols = input.length;
  return Float64Array.from({ length: rows }, (_, row) => {
    let sum = bias?.[row] ?? 0;
    for (let col = 0; col < cols; col++) sum += matrix[row * cols + col] * input[col];
    return sum;
  });
}

function dot(a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}

function add(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value + b[i]);
}

function rmsNorm(x: Float64Array, weight: Float32Array, eps: number): Float64Array {
  const scale = 1 / Math.sqrt(dot(x, x) / x.length + eps);
  return x.map((value, i) => value * scale * weight[i]);
}

/** Rotates the pairs (i, i + headSize / 2) of one head by its position's angles. */
function rotate(head: Float64Array, cos: Float32Array, sin: Float32Array, position: number): Float64Array {
  const half = head.length / 2;
  return head.map((value, i) => {
    const at = position * half + (i % half);
    return i < half ? value * cos[at] - head[i + half] * sin[at] : value * cos[at] + head[i - half] * sin[at];
  });
}

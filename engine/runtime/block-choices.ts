/**
 * Which blocks were chosen, and when to choose anew. A choice is used again for the next tokens while their queries stay
 * close to those it was made with (Recycled Attention); queries are seen only after a run, so a drift takes effect one
 * token later.
 */
import { LANDMARKS, type Landmark } from "../attention/blocks.ts";
import { type AttentionPlan, BLOCK_TOKENS } from "../attention/plan.ts";
import type { DecoderConfig } from "../models/types.ts";
import { asFloats, type KvCache } from "./kv-cache.ts";
import { Tensor } from "./session.ts";

/** A layer that chooses. */
interface ChoosingLayer {
  readonly layer: number;
  readonly budget: number;
  /** What the layer chooses by, [heads, blocks, headSize] each. */
  readonly landmarks: Map<Landmark, Float32Array>;
  readonly nHeads: number;
  chosen: BigInt64Array;
  /** The queries the choice was made with. */
  queries: Float32Array;
}

const int64 = (...values: number[]) => new Tensor("int64", BigInt64Array.from(values, BigInt), [values.length]);

export class BlockChoices {
  readonly #plan: AttentionPlan;
  readonly #headSize: number;
  readonly #cache: KvCache;
  readonly #layers: ChoosingLayer[] = [];
  readonly #budgets = new Set<number>();
  /** Numbers of keys that layers read of those of chosen blocks. */
  readonly #keyBudgets = new Set<number>();
  /** Tokens the last choice has served; infinite where there is none to use again. */
  #age = Number.POSITIVE_INFINITY;
  #refreshes = false;

  constructor(plan: AttentionPlan, { headSize }: DecoderConfig, cache: KvCache) {
    this.#plan = plan;
    this.#headSize = headSize;
    this.#cache = cache;
    for (const [layer, { heads, blocks }] of plan.layers.entries()) {
      if (blocks.kind === "all") continue;
      if (blocks.kind === "prune") {
        this.#keyBudgets.add(blocks.keys);
        continue;
      }
      this.#budgets.add(blocks.budget);
      if (blocks.kind === "reuse") continue;
      const landmarks = new Map(LANDMARKS[blocks.selector].map((kind) => [kind, new Float32Array(0)]));
      const nHeads = heads.filter((role) => role === "retrieval").length;
      const none = { chosen: new BigInt64Array(0), queries: new Float32Array(0) };
      this.#layers.push({ layer, budget: blocks.budget, landmarks, nHeads, ...none });
    }
  }

  /** Inputs that only change when the cache grows; called then. */
  fixedInputs(): Record<string, Tensor> {
    this.#age = Number.POSITIVE_INFINITY;
    const nBlocks = this.#cache.capacity / BLOCK_TOKENS;
    const inputs: Record<string, Tensor> = {};
    for (const budget of this.#budgets) {
      const count = Math.min(budget, nBlocks);
      inputs[`count.${budget}`] = int64(count);
      inputs[`sizes.${budget}`] = int64(count * BLOCK_TOKENS, 1);
    }
    for (const keys of this.#keyBudgets) {
      const count = Math.min(keys, this.#cache.capacity);
      inputs[`count.keys.${keys}`] = int64(count);
      inputs[`sizes.keys.${keys}`] = int64(count, 1);
    }
    for (const one of this.#layers) {
      one.chosen = new BigInt64Array(Math.min(one.budget, nBlocks));
      for (const [kind, old] of one.landmarks) {
        const rows = grown(old, one.nHeads, nBlocks * this.#headSize);
        one.landmarks.set(kind, rows);
        inputs[`${kind}.${one.layer}`] = new Tensor("float32", rows, [one.nHeads, nBlocks, this.#headSize]);
      }
    }
    return inputs;
  }

  /** Inputs of a run of `n` tokens behind the first `nPast`. */
  inputs(nPast: number, n: number): Record<string, Tensor> {
    if (this.#layers.length === 0) return {};
    // A block that begins with this token is not among those chosen before.
    this.#refreshes = n > 1 || nPast % BLOCK_TOKENS === 0 || this.#age >= this.#plan.refresh.maxTokens;
    const nBlocks = this.#cache.capacity / BLOCK_TOKENS;
    // The block that the token itself goes to is empty at first, but later tokens will want it.
    const current = Math.floor(nPast / BLOCK_TOKENS);
    const preference = new Float32Array(nBlocks).fill(-2, current + 1);
    for (const block of [0, current - 1, current]) if (block >= 0) preference[block] = 2;
    const inputs: Record<string, Tensor> = {
      refresh: new Tensor("bool", Uint8Array.of(this.#refreshes ? 1 : 0), [1]),
      preference: new Tensor("float32", preference, [nBlocks]),
    };
    for (const { layer, chosen } of this.#layers) {
      inputs[`chosen.${layer}`] = new Tensor("int64", chosen, [chosen.length]);
    }
    return inputs;
  }

  /** Takes in that the keys of `n` tokens behind the first `nPast` are in the cache. */
  appended(nPast: number, n: number): void {
    for (const one of this.#layers) this.#updateLandmarks(one, nPast, n);
  }

  /** Takes in the outputs of a run of `n` tokens. */
  observe(outputs: Readonly<Record<string, Tensor>>, n: number): void {
    if (n > 1) {
      this.#age = Number.POSITIVE_INFINITY;
      return;
    }
    this.#age++;
    if (this.#refreshes) this.#age = 1;
    for (const one of this.#layers) {
      const queries = outputs[`query.${one.layer}`].data as Float32Array;
      if (this.#refreshes) {
        one.chosen = outputs[`choice.${one.layer}`].data as BigInt64Array;
        one.queries = queries;
      } else if (cosine(queries, one.queries) <= this.#plan.refresh.minCosine) this.#age = Number.POSITIVE_INFINITY;
    }
  }

  /** The blocks that a layer chose last, best first. */
  chosenBy(layer: number): number[] {
    return [...(this.#layers.find((one) => one.layer === layer)?.chosen ?? [])].map(Number);
  }

  /** The queries that a layer chose with last. */
  queriesOf(layer: number): Float32Array {
    return this.#layers.find((one) => one.layer === layer)?.queries ?? new Float32Array(0);
  }

  /** Of the blocks that the run has completed. */
  #updateLandmarks({ layer, landmarks, nHeads }: ChoosingLayer, nPast: number, n: number): void {
    const { capacity } = this.#cache;
    const keys = asFloats(this.#cache.keys[layer]);
    const size = this.#headSize;
    const nBlocks = capacity / BLOCK_TOKENS;
    const last = Math.floor((nPast + n) / BLOCK_TOKENS);
    for (const [kind, all] of landmarks) {
      for (let block = Math.floor(nPast / BLOCK_TOKENS); block < last; block++) {
        for (let head = 0; head < nHeads; head++) {
          const from = (head * capacity + block * BLOCK_TOKENS) * size;
          const row = (head * nBlocks + block) * size;
          GATHER[kind](all.subarray(row, row + size), keys.subarray(from, from + BLOCK_TOKENS * size));
        }
      }
    }
  }
}

/** Makes a landmark [headSize] of a block's keys [BLOCK_TOKENS, headSize]. */
const GATHER: Readonly<Record<Landmark, (landmark: Float32Array, keys: Float32Array | Float16Array) => void>> = {
  means(landmark, keys) {
    landmark.fill(0);
    for (let i = 0; i < keys.length; i++) landmark[i % landmark.length] += keys[i] / BLOCK_TOKENS;
  },
  smallest(landmark, keys) {
    landmark.fill(Number.POSITIVE_INFINITY);
    for (let i = 0; i < keys.length; i++) {
      landmark[i % landmark.length] = Math.min(landmark[i % landmark.length], keys[i]);
    }
  },
  largest(landmark, keys) {
    landmark.fill(Number.NEGATIVE_INFINITY);
    for (let i = 0; i < keys.length; i++) {
      landmark[i % landmark.length] = Math.max(landmark[i % landmark.length], keys[i]);
    }
  },
};

/** Rows of one length copied into rows of another. */
function grown(old: Float32Array, nRows: number, length: number): Float32Array {
  const array = new Float32Array(nRows * length);
  const oldLength = old.length / nRows;
  for (let row = 0; row < nRows; row++) array.set(old.subarray(row * oldLength, (row + 1) * oldLength), row * length);
  return array;
}

function cosine(a: Float32Array, b: Float32Array): number {
  let [product, ofA, ofB] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    product += a[i] * b[i];
    ofA += a[i] ** 2;
    ofB += b[i] ** 2;
  }
  return product / Math.max(Math.sqrt(ofA * ofB), 1e-30);
}

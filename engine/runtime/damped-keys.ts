/**
 * Which keys of a cache are damped (engine/attention/calibration.ts): the first tokens of texts that were placed behind
 * others, and those placed tokens that the text behind them has looked at too much, if the plan searches for them. Single
 * tokens, which read chosen blocks, are damped by what longer runs have found.
 */
import { UNUSED } from "../attention/heads.ts";
import type { AttentionPlan } from "../attention/plan.ts";
import { isSink, ReceivedAttention } from "../attention/sinks.ts";
import { Tensor } from "./session.ts";

interface Layer {
  readonly layer: number;
  /** Retrieval heads. */
  readonly nHeads: number;
  readonly received: ReceivedAttention;
  /** [nHeads, capacity]: 1 for keys that are damped. */
  sinks: Float32Array;
}

const NOTHING = 0;
const PLACED = 1;
/** Begins a placed text. */
const START = 2;

export class DampedKeys {
  readonly #factor: number | undefined;
  readonly #nGroup: number;
  readonly #layers: readonly Layer[];
  /** [capacity]: what each key is. */
  #kinds = new Uint8Array(0);
  /** Behind the queries whose attention has been counted. */
  #end = 0;

  /** `nGroup`: query heads of a key/value head. Undefined calibration damps nothing. */
  constructor({ calibration, layers }: AttentionPlan, nGroup: number) {
    this.#factor = calibration?.detect;
    this.#nGroup = nGroup;
    this.#layers = (calibration?.heads ?? []).flatMap((damping, layer) => {
      if (damping.length === 0) return [];
      const nHeads = layers[layer].heads.filter((role) => role === "retrieval").length;
      return [{ layer, nHeads, received: new ReceivedAttention(nHeads), sinks: new Float32Array(0) }];
    });
  }

  /** For a cache that has grown. */
  resize(capacity: number): void {
    const kinds = new Uint8Array(capacity);
    kinds.set(this.#kinds);
    for (const layer of this.#layers) {
      const sinks = new Float32Array(layer.nHeads * capacity);
      const old = this.#kinds.length;
      for (let head = 0; head < layer.nHeads && old > 0; head++) {
        sinks.set(layer.sinks.subarray(head * old, (head + 1) * old), head * capacity);
      }
      layer.sinks = sinks;
    }
    this.#kinds = kinds;
  }

  /** `n` tokens were placed behind `nPast` others: of a text that was read alone and that begins there or not, or of the same. */
  place(nPast: number, n: number, isStart: boolean | undefined): void {
    this.#cutAt(nPast);
    if (isStart === undefined) return;
    this.#kinds.fill(PLACED, nPast, nPast + n);
    if (!isStart || nPast === 0) return;
    this.#kinds[nPast] = START;
    this.#each((sinks, head) => {
      sinks[head + nPast] = 1;
    });
  }

  /** The inputs of a run of `n` tokens behind `nPast` others. */
  inputs(nPast: number, n: number): Record<string, Tensor> {
    if (this.#layers.length === 0) return {};
    this.#cutAt(nPast);
    const wanted = this.#factor === undefined ? START : PLACED;
    const isDamped = n > 1 && this.#kinds.some((kind) => kind >= wanted);
    const capacity = this.#kinds.length;
    // Where nothing is damped the tokens are read as ever, and these are not looked at.
    const nRows = isDamped ? n * this.#nGroup : 0;
    const ownBias = new Float32Array(nRows * n);
    for (let row = 0; row < nRows; row++) {
      ownBias.fill(UNUSED, row * n + Math.floor(row / this.#nGroup) + 1, (row + 1) * n);
    }
    return {
      ...Object.fromEntries(
        this.#layers.map(({ layer, nHeads, sinks }) => [
          `sinks.${layer}`,
          new Tensor("float32", sinks, [nHeads, 1, capacity]),
        ]),
      ),
      is_damped: new Tensor("bool", Uint8Array.of(isDamped ? 1 : 0), [1]),
      "damped.own_bias": new Tensor("float32", ownBias, [nRows, n]),
      "damped.sizes": new Tensor("int64", BigInt64Array.of(BigInt(capacity), BigInt(n)), [2]),
    };
  }

  /** Counts what the keys before a run got from it, and finds sinks among those that were placed. */
  observe(outputs: Readonly<Record<string, Tensor | undefined>>, nPast: number, n: number): void {
    const factor = this.#factor;
    if (factor === undefined || n === 1 || !this.#kinds.includes(PLACED)) return;
    const capacity = this.#kinds.length;
    for (const { layer, nHeads, received, sinks } of this.#layers) {
      received.add(outputs[`received.${layer}`]?.data as Float32Array, nPast, n * this.#nGroup);
      for (let head = 0; head < nHeads; head++) {
        for (let key = 0; key < nPast; key++) {
          if (this.#kinds[key] !== PLACED) continue;
          sinks[head * capacity + key] = isSink(received.mean(head, key), nPast, factor) ? 1 : 0;
        }
      }
    }
    this.#end = nPast + n;
  }

  /** The keys that a layer's head damps now. */
  of(layer: number, head: number): number[] {
    const capacity = this.#kinds.length;
    const sinks = this.#layers.find((one) => one.layer === layer)?.sinks.subarray(head * capacity) ?? [];
    return [...this.#kinds.keys()].filter((key) => sinks[key] === 1);
  }

  /** What comes from `nPast` on is read anew, and with it what it looked at. */
  #cutAt(nPast: number): void {
    this.#kinds.fill(NOTHING, nPast);
    this.#each((sinks, head) => sinks.fill(0, head + nPast, head + this.#kinds.length));
    if (nPast >= this.#end) return;
    this.#end = 0;
    for (const { received } of this.#layers) received.clear();
    this.#each((sinks, head) => {
      for (let key = 0; key < nPast; key++) if (this.#kinds[key] === PLACED) sinks[head + key] = 0;
    });
  }

  #each(change: (sinks: Float32Array, head: number) => void): void {
    const capacity = this.#kinds.length;
    for (const { sinks, nHeads } of this.#layers) {
      for (let head = 0; head < nHeads; head++) change(sinks, head * capacity);
    }
  }
}

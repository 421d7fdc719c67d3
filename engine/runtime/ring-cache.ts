/**
 * The keys and values that streaming heads attend to, in constant memory: the first tokens of the text, and a ring of the
 * latest. Positions are absolute, so a row keeps its key while it moves through the window.
 */
import { UNUSED } from "../attention/heads.ts";
import { streams } from "../attention/streaming.ts";
import { type CacheArray, type CacheShape, cacheArray } from "./kv-cache.ts";

/** The ring is longer than the window by this much, so that a text can go back so many tokens. */
const SLACK_TOKENS = 256;

export class RingCache {
  readonly slots: number;
  /** One array per layer: [heads, slots, headSize]. */
  readonly keys: CacheArray[];
  readonly values: CacheArray[];
  readonly #shape: CacheShape;
  readonly #span: { readonly sinks: number; readonly window: number };
  /** The position of the token in each slot; -1 for none. */
  readonly #positions: Int32Array;
  /** Positions that were left out, from the first to the one behind the last. */
  #hole = { start: 0, end: 0 };

  constructor(shape: CacheShape, span: { readonly sinks: number; readonly window: number }) {
    this.#shape = shape;
    this.#span = { sinks: span.sinks, window: span.window };
    this.slots = span.sinks + span.window + SLACK_TOKENS;
    this.#positions = new Int32Array(this.slots).fill(-1);
    const arrays = () => shape.heads.map((heads) => cacheArray(shape.type, heads.length * this.slots * shape.headSize));
    this.keys = arrays();
    this.values = arrays();
  }

  /** Whether everything is there that the token behind the first `nPast` attends to. */
  holds(nPast: number): boolean {
    const { sinks, window } = this.#span;
    for (let position = 0; position < Math.min(sinks, nPast); position++) {
      if (!this.#isKnown(position)) return false;
    }
    for (let position = Math.max(nPast - window + 1, 0); position < nPast; position++) {
      if (!this.#isKnown(position)) return false;
    }
    return true;
  }

  /** Leaves out `n` positions behind the first `nPast`: nothing stands there for streaming heads. */
  skip(nPast: number, n: number): void {
    this.#hole = { start: nPast, end: nPast + n };
    for (const [slot, position] of this.#positions.entries()) {
      if (position >= nPast && position < nPast + n) this.#positions[slot] = -1;
    }
  }

  /** The rows of `n` tokens from `first` on, layer after layer: [kept heads, n, headSize]. They must be there. */
  copy(first: number, n: number): { keys: CacheArray; values: CacheArray } {
    const { heads, headSize, type } = this.#shape;
    const nKept = heads.reduce((sum, { length }) => sum + length, 0);
    const [keys, values] = [0, 1].map(() => cacheArray(type, nKept * n * headSize));
    for (let i = 0; i < n; i++) {
      const slot = this.#slotOf(first + i);
      if (this.#positions[slot] !== first + i) throw new Error(`token ${first + i} is not in the ring`);
      this.#eachRow(slot, (layer, at, row) => {
        keys.set(this.keys[layer].subarray(at, at + headSize), (row * n + i) * headSize);
        values.set(this.values[layer].subarray(at, at + headSize), (row * n + i) * headSize);
      });
    }
    return { keys, values };
  }

  /** Puts such rows behind the first `nPast`. */
  paste(nPast: number, n: number, rows: { readonly keys: CacheArray; readonly values: CacheArray }): void {
    const { headSize } = this.#shape;
    this.#shrinkHole(nPast);
    for (let i = 0; i < n; i++) {
      if (this.#isOverwritten(nPast + i, nPast + n)) continue;
      const slot = this.#slotOf(nPast + i);
      this.#positions[slot] = nPast + i;
      this.#eachRow(slot, (layer, at, row) => {
        const from = (row * n + i) * headSize;
        this.keys[layer].set(rows.keys.subarray(from, from + headSize), at);
        this.values[layer].set(rows.values.subarray(from, from + headSize), at);
      });
    }
  }

  /** Stores the rows of `n` tokens behind the first `nPast`: keys and values [layers * nKvHeads, n, headSize]. */
  append(nPast: number, n: number, keys: CacheArray, values: CacheArray): void {
    const { nKvHeads, headSize } = this.#shape;
    this.#shrinkHole(nPast);
    // What goes back leaves later tokens in their slots; each is overwritten before a query can see that position.
    for (let i = 0; i < n; i++) {
      const position = nPast + i;
      if (this.#isOverwritten(position, nPast + n)) continue;
      const slot = this.#slotOf(position);
      this.#positions[slot] = position;
      for (const [layer, heads] of this.#shape.heads.entries()) {
        for (const [j, head] of heads.entries()) {
          const from = ((layer * nKvHeads + head) * n + i) * headSize;
          const to = (j * this.slots + slot) * headSize;
          this.keys[layer].set(keys.subarray(from, from + headSize), to);
          this.values[layer].set(values.subarray(from, from + headSize), to);
        }
      }
    }
  }

  /** StreamingInputs' bias and ownBias for a run of `n` tokens behind `nPast`, each row `nGroup` times. */
  biases(nPast: number, n: number, nGroup: number): { bias: Float32Array; ownBias: Float32Array } {
    const bias = new Float32Array(n * nGroup * this.slots);
    const ownBias = new Float32Array(n * nGroup * n);
    for (let i = 0; i < n; i++) {
      const past = bias.subarray(i * nGroup * this.slots, (i + 1) * nGroup * this.slots);
      for (let slot = 0; slot < this.slots; slot++) {
        const position = this.#positions[slot];
        const seen = position >= 0 && position < nPast && streams(nPast + i, position, this.#span);
        if (!seen) past[slot] = UNUSED;
      }
      const own = ownBias.subarray(i * nGroup * n, (i + 1) * nGroup * n);
      for (let j = 0; j < n; j++) if (!streams(nPast + i, nPast + j, this.#span)) own[j] = UNUSED;
      for (let copy = 1; copy < nGroup; copy++) {
        past.copyWithin(copy * this.slots, 0, this.slots);
        own.copyWithin(copy * n, 0, n);
      }
    }
    return { bias, ownBias };
  }

  #isKnown(position: number): boolean {
    const { start, end } = this.#hole;
    return (position >= start && position < end) || this.#positions[this.#slotOf(position)] === position;
  }

  /** Whether later tokens of the same run, which ends before `end`, take its slot. */
  #isOverwritten(position: number, end: number): boolean {
    return position >= this.#span.sinks && position + this.slots - this.#span.sinks < end;
  }

  /** Tokens behind the first `nPast` are no longer left out. */
  #shrinkHole(nPast: number): void {
    const { start, end } = this.#hole;
    if (nPast < end) this.#hole = { start: Math.min(start, nPast), end: nPast };
  }

  /** Calls with each kept head's layer, the index where a slot's row begins in the layer's arrays, and its number. */
  #eachRow(slot: number, visit: (layer: number, at: number, row: number) => void): void {
    let row = 0;
    for (const [layer, heads] of this.#shape.heads.entries()) {
      for (let j = 0; j < heads.length; j++) visit(layer, (j * this.slots + slot) * this.#shape.headSize, row++);
    }
  }

  #slotOf(position: number): number {
    const { sinks } = this.#span;
    return position < sinks ? position : sinks + ((position - sinks) % (this.slots - sinks));
  }
}

/**
 * What the default model carries from run to run: a constant amount, whatever the length of the text. A run reads the
 * current arrays and writes the spare ones, which take their place when it has succeeded; a run that fails or is thrown
 * away leaves the state as it was. Forking and saving are plain copies.
 */
import { type HybridPart, hybridState } from "../compiler/hybrid.ts";
import { LongsightError } from "../errors.ts";
import type { HybridConfig } from "../models/hybrid-config.ts";
import { Tensor } from "./session.ts";

type Arrays = ReadonlyMap<string, Float32Array>;

export class HybridState {
  readonly #config: HybridConfig;
  readonly #part: HybridPart;
  #nTokens = 0;
  #current: Arrays;
  #spare: Arrays | undefined;

  /** The state before the first token. */
  constructor(config: HybridConfig, part: HybridPart) {
    this.#config = config;
    this.#part = part;
    this.#current = this.#arrays();
  }

  /** Tokens read so far. */
  get nTokens(): number {
    return this.#nTokens;
  }

  /** Earlier tokens whose keys the windows hold. */
  get nWindow(): number {
    return this.#windowAt(this.#nTokens);
  }

  /** In memory, without the arrays that a run writes. */
  get sizeBytes(): number {
    return [...this.#current.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  /** An independent copy. */
  fork(): HybridState {
    const copy = new HybridState(this.#config, this.#part);
    copy.#nTokens = this.#nTokens;
    for (const [name, array] of this.#current) copy.#current.get(name)?.set(array);
    return copy;
  }

  /** The graph's past.* inputs, sharing memory with this state. */
  inputs(): Record<string, Tensor> {
    return tensors("past", this.#current, this.#shapes(this.nWindow));
  }

  /** Where the graph writes its present.* outputs in a run of `nTokens`. */
  outputs(nTokens: number): Record<string, Tensor> {
    this.#spare ??= this.#arrays();
    return tensors("present", this.#spare, this.#shapes(this.#windowAt(this.#nTokens + nTokens)));
  }

  /** Takes over what the run of `nTokens` wrote. */
  advance(nTokens: number): void {
    if (this.#spare === undefined) throw new Error("no run has written this state");
    [this.#current, this.#spare] = [this.#spare, this.#current];
    this.#nTokens += nTokens;
  }

  /** All of the state as one array. */
  save(): Float32Array {
    const parts = [...this.#shapes(this.nWindow)].map(([name, shape]) => used(this.#current, name, shape));
    const saved = new Float32Array(parts.reduce((sum, part) => sum + part.length, 1));
    saved[0] = this.#nTokens;
    let at = 1;
    for (const part of parts) {
      saved.set(part, at);
      at += part.length;
    }
    return saved;
  }

  /** The state that `save` gave; throws bad-input where it is not one of this model. */
  static restore(config: HybridConfig, part: HybridPart, saved: Float32Array): HybridState {
    const state = new HybridState(config, part);
    const nTokens = saved[0];
    const valid = Number.isInteger(nTokens) && nTokens >= 0;
    const shapes = state.#shapes(valid ? state.#windowAt(nTokens) : 0);
    const expected = [...shapes.values()].reduce((sum, shape) => sum + sizeOf(shape), 1);
    if (!valid || saved.length !== expected) {
      throw new LongsightError("bad-input", "The saved state is not one of this model; read the text again.");
    }
    state.#nTokens = nTokens;
    let at = 1;
    for (const [name, shape] of shapes) {
      state.#current.get(name)?.set(saved.subarray(at, at + sizeOf(shape)));
      at += sizeOf(shape);
    }
    return state;
  }

  #windowAt(nTokens: number): number {
    return Math.min(nTokens, this.#config.window - 1);
  }

  #shapes(nWindow: number): Map<string, readonly number[]> {
    return hybridState(this.#config, this.#part, nWindow);
  }

  #arrays(): Arrays {
    const largest = this.#shapes(this.#config.window - 1);
    return new Map([...largest].map(([name, shape]) => [name, new Float32Array(sizeOf(shape))]));
  }
}

const sizeOf = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);

/** The used part of an array: a window that is not full uses its beginning. */
const used = (arrays: Arrays, name: string, shape: readonly number[]) =>
  (arrays.get(name) ?? new Float32Array(0)).subarray(0, sizeOf(shape));

function tensors(prefix: string, arrays: Arrays, shapes: Map<string, readonly number[]>): Record<string, Tensor> {
  const entries = [...shapes].map(([name, shape]) => {
    return [`${prefix}.${name}`, new Tensor("float32", used(arrays, name, shape), shape)] as const;
  });
  return Object.fromEntries(entries);
}

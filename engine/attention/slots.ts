/**
 * Keys without their positions. A text that is encoded once and read at many places keeps its keys as they are before
 * rotation; a place gives them positions (slots) by rotating them. Rotations add up, so a key that was read at one
 * position can be turned back. Source: Landmark Attention (arXiv 2305.16300), section 3.2.
 */
import type { RopeConfig } from "../models/types.ts";
import { ropeFrequencies, ropeTables } from "./rope.ts";

/** Numbers that can be set, whatever their precision. */
type Floats = Float32Array | Float16Array;

/** Turns rows of keys, [heads, n, headSize], that stand at no position to the positions from `first` on, in place. */
export function toSlots(keys: Floats, n: number, headSize: number, rope: RopeConfig, first: number): void {
  turn(keys, n, headSize, rope, first, 1);
}

/** The way back: rows that stand at the positions from `first` on, to no position, in place. */
export function fromSlots(keys: Floats, n: number, headSize: number, rope: RopeConfig, first: number): void {
  turn(keys, n, headSize, rope, first, -1);
}

function turn(keys: Floats, n: number, headSize: number, rope: RopeConfig, first: number, direction: 1 | -1): void {
  const half = headSize / 2;
  // The tables of positions 0 .. n - 1, turned by `first` positions more.
  const { cos, sin } = ropeTables(rope, headSize, n);
  const start = ropeFrequencies(rope, headSize).map((frequency) => first * frequency);
  const [startCos, startSin] = [start.map(Math.cos), start.map(Math.sin)];
  // YaRN's attention factor is in the tables; on the way back it is divided out.
  const amplitude = rope.scaling?.kind === "yarn" ? rope.scaling.attentionFactor : 1;
  const gain = direction === 1 ? 1 : 1 / amplitude ** 2;
  const nHeads = keys.length / (n * headSize);
  for (let token = 0; token < n; token++) {
    for (let i = 0; i < half; i++) {
      const [c, s] = [cos[token * half + i], sin[token * half + i]];
      const turnCos = gain * (c * startCos[i] - s * startSin[i]);
      const turnSin = direction * gain * (s * startCos[i] + c * startSin[i]);
      for (let head = 0; head < nHeads; head++) {
        const at = (head * n + token) * headSize + i;
        const [a, b] = [keys[at], keys[at + half]];
        keys[at] = a * turnCos - b * turnSin;
        keys[at + half] = b * turnCos + a * turnSin;
      }
    }
  }
}

/**
 * Rotary position embedding tables. A head's halves (x1, x2) at position p become (x1 cos - x2 sin, x2 cos + x1 sin),
 * with the angle p * frequency[i] for pair i. Sources: RoFormer (arXiv 2104.09864), YaRN (2309.00071, section 3), and
 * the scaling rule of Llama 3.1 as published with its weights.
 */
import type { RopeConfig } from "../models/types.ts";

/** Angle per position of each pair, in radians: [headSize / 2]. */
export function ropeFrequencies(rope: RopeConfig, headSize: number): Float64Array {
  const half = headSize / 2;
  const plain = Float64Array.from({ length: half }, (_, i) => rope.theta ** (-i / half));
  const scaling = rope.scaling;
  if (scaling === undefined) return plain;
  if (scaling.kind === "linear") return plain.map((f) => f / scaling.factor);
  if (scaling.kind === "factors") return plain.map((f, i) => f / scaling.factors[i]);
  if (scaling.kind === "llama3") {
    const { factor, lowFreqFactor, highFreqFactor, originalContextLength } = scaling;
    return plain.map((f) => {
      // Turns within the original context decide: many turns stay, few are stretched, between them both are mixed.
      const turns = (originalContextLength * f) / (2 * Math.PI);
      const keep = clamp((turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor));
      return (1 - keep) * (f / factor) + keep * f;
    });
  }
  const { factor, originalContextLength, betaFast, betaSlow } = scaling;
  /** The pair that makes `turns` turns within the original context. */
  const pairOf = (turns: number) =>
    (half * Math.log(originalContextLength / (turns * 2 * Math.PI))) / Math.log(rope.theta);
  const low = Math.max(Math.floor(pairOf(betaFast)), 0);
  const high = Math.min(Math.ceil(pairOf(betaSlow)), headSize - 1);
  return plain.map((f, i) => {
    const stretch = clamp((i - low) / Math.max(high - low, 1e-3));
    return stretch * (f / factor) + (1 - stretch) * f;
  });
}

/** Cosines and sines of positions 0 .. nPositions - 1, each [nPositions, headSize / 2]. */
export interface RopeTables {
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

/** The tables for the first `nPositions` positions; YaRN's attention factor is multiplied in. */
export function ropeTables(rope: RopeConfig, headSize: number, nPositions: number): RopeTables {
  const frequencies = ropeFrequencies(rope, headSize);
  const amplitude = rope.scaling?.kind === "yarn" ? rope.scaling.attentionFactor : 1;
  const half = frequencies.length;
  const cos = new Float32Array(nPositions * half);
  const sin = new Float32Array(nPositions * half);
  for (let position = 0; position < nPositions; position++) {
    for (let i = 0; i < half; i++) {
      const angle = position * frequencies[i];
      cos[position * half + i] = amplitude * Math.cos(angle);
      sin[position * half + i] = amplitude * Math.sin(angle);
    }
  }
  return { cos, sin };
}

const clamp = (x: number) => Math.min(Math.max(x, 0), 1);

/** Chooses the next token from the logits: greedily, or by chance within limits. */
import { randomInt } from "node:crypto";
import { LongsightError } from "../errors.ts";

export interface SamplingOptions {
  /** 0, the default, takes the likeliest token; 1 draws from the model's own distribution, more flattens it. */
  readonly temperature?: number;
  /** Draw among this many likeliest tokens only. */
  readonly topK?: number;
  /** Draw among the fewest likeliest tokens whose probabilities sum to this much. */
  readonly topP?: number;
  /** Draw among tokens at least this many times as likely as the likeliest. */
  readonly minP?: number;
  /** Divides the positive and multiplies the negative logits of recent tokens; 1, the default, changes nothing. */
  readonly repetitionPenalty?: number;
  /** The same seed gives the same choices for the same logits; without one they differ from call to call. */
  readonly seed?: number;
}

/** The repetition penalty looks back so many tokens: over a long prompt it would forbid the prompt's own names. */
const PENALTY_TOKENS = 64;

const LIMITS: Record<keyof SamplingOptions, { isValid: (value: number) => boolean; hint: string }> = {
  temperature: { isValid: (x) => x >= 0 && x <= 100, hint: "use a number from 0 to 100" },
  topK: { isValid: (x) => Number.isSafeInteger(x) && x >= 1, hint: "use a whole number of 1 or more" },
  topP: { isValid: (x) => x > 0 && x <= 1, hint: "use a number above 0 and up to 1" },
  minP: { isValid: (x) => x >= 0 && x <= 1, hint: "use a number from 0 to 1" },
  repetitionPenalty: { isValid: (x) => x > 0 && x <= 100, hint: "use a number above 0 and up to 100" },
  seed: { isValid: (x) => Number.isSafeInteger(x) && x >= 0, hint: "use a whole number of 0 or more" },
};

/** Throws bad-input for a setting out of its range. */
export function checkSampling(options: SamplingOptions): void {
  for (const [name, { isValid, hint }] of Object.entries(LIMITS)) {
    const value = options[name as keyof SamplingOptions];
    if (value === undefined || isValid(value)) continue;
    throw new LongsightError("bad-input", `The sampling setting ${name} cannot be ${value}; ${hint}.`);
  }
}

interface Candidate {
  readonly id: number;
  /** Relative to the likeliest token's: up to 1. */
  readonly weight: number;
}

export class Sampler {
  readonly #options: SamplingOptions;
  readonly #random: () => number;

  /** Throws bad-input for a setting out of its range. */
  constructor(options: SamplingOptions = {}) {
    checkSampling(options);
    this.#options = options;
    this.#random = seededRandom(options.seed ?? randomInt(2 ** 32));
  }

  /** The next token behind the text `ids`, given the logits there. Throws bad-model for logits that are no numbers. */
  next(logits: Float32Array, ids: readonly number[]): number {
    const { temperature = 0, topK, topP, minP = 0, repetitionPenalty = 1 } = this.#options;
    const scores = repetitionPenalty === 1 ? logits : penalised(logits, ids.slice(-PENALTY_TOKENS), repetitionPenalty);
    const best = argmax(scores);
    if (temperature === 0) return best;
    const candidates = likeliest(scores, scores[best], temperature, { topK, topP, minP });
    const sum = candidates.reduce((total, { weight }) => total + weight, 0);
    let left = this.#random() * sum;
    for (const { id, weight } of candidates) {
      left -= weight;
      if (left < 0) return id;
    }
    return best;
  }
}

function penalised(logits: Float32Array, recent: readonly number[], penalty: number): Float32Array {
  const scores = logits.slice();
  for (const id of new Set(recent)) scores[id] = logits[id] > 0 ? logits[id] / penalty : logits[id] * penalty;
  return scores;
}

/** The id with the largest score, the first of several. Throws bad-model for scores that are no numbers. */
export function argmax(scores: Float32Array): number {
  let best = 0;
  for (let id = 1; id < scores.length; id++) if (scores[id] > scores[best]) best = id;
  if (Number.isFinite(scores[best])) return best;
  throw new LongsightError("bad-model", "The model's output is not a number; its weights are damaged or do not fit.");
}

/**
 * The tokens to draw from, likeliest first. Sorting a whole vocabulary for every token would cost more than a small
 * model, so only tokens above a threshold are sorted; it sinks until the limits lie above it.
 */
function likeliest(
  scores: Float32Array,
  best: number,
  temperature: number,
  { topK = scores.length, topP = 1, minP }: { topK?: number; topP?: number; minP: number },
): Candidate[] {
  const weights = Float64Array.from(scores, (score) => Math.exp((score - best) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const cutsTail = topK < scores.length || topP < 1;
  for (let threshold = cutsTail ? Math.max(1e-2, minP) : minP; ; threshold *= 1e-2) {
    const lowest = threshold < 1e-12 ? minP : Math.max(threshold, minP);
    const candidates: Candidate[] = [];
    for (let id = 0; id < weights.length; id++) {
      if (weights[id] >= lowest) candidates.push({ id, weight: weights[id] });
    }
    if (cutsTail) candidates.sort((a, b) => b.weight - a.weight || a.id - b.id);
    const nKept = Math.min(topK, prefixWith(candidates, topP * total));
    if (nKept <= candidates.length || lowest === minP) return candidates.slice(0, nKept);
  }
}

/** The length of the shortest prefix whose weights sum to `mass`; one more than there are where all sum to less. */
function prefixWith(candidates: readonly Candidate[], mass: number): number {
  let sum = 0;
  for (let i = 0; i < candidates.length; i++) {
    sum += candidates[i].weight;
    if (sum >= mass) return i + 1;
  }
  return candidates.length + 1;
}

/** Numbers from 0 up to 1 (splitmix32). */
function seededRandom(seed: number): () => number {
  // The high part of a seed above 32 bits counts too.
  let state = (seed ^ Math.imul(Math.floor(seed / 2 ** 32), 0x85ebca6b)) | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}

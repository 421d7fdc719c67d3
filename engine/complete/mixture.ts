/** Mixes what the model says with what the text says: the likeliest token of the weighted sum of their probabilities. */
import { argmax } from "../runtime/sampler.ts";

/** A distribution of the next token that gets a share of the mixture. */
export interface Part<Token = number> {
  /** 0 .. 1; what was mixed before gets the rest. */
  readonly share: number;
  /** Probabilities by token, together 1. */
  readonly tokens: ReadonlyMap<Token, number>;
}

/** A token and how likely it is, 0 .. 1. */
export interface Likely<Token = number> {
  readonly id: Token;
  readonly probability: number;
}

/**
 * The most likely token where `parts` are mixed, one after another, into what the model says: `best` is its most likely
 * one, `ofModel` the probability of each.
 */
export function mixed<Token>(
  best: Token,
  ofModel: (id: Token) => number,
  parts: readonly Part<Token>[],
): Likely<Token> {
  const probability = (id: Token) =>
    parts.reduce((p, { share, tokens }) => (1 - share) * p + share * (tokens.get(id) ?? 0), ofModel(id));
  let likely = { id: best, probability: probability(best) };
  for (const { tokens } of parts) {
    for (const id of tokens.keys()) {
      const other = { id, probability: probability(id) };
      if (other.probability > likely.probability) likely = other;
    }
  }
  return likely;
}

/** The most likely next token where `parts` are mixed into [vocabSize] logits. Errors: as softmax. */
export function likeliest(logits: Float32Array, parts: readonly Part[] = []): Likely {
  const p = softmax(logits);
  return mixed(argmax(logits), (id) => p[id], parts);
}

/** Probabilities of logits. Throws bad-model for logits that are no numbers. */
export function softmax(logits: Float32Array): Float32Array {
  const peak = logits[argmax(logits)];
  const p = logits.map((logit) => Math.exp(logit - peak));
  const sum = p.reduce((a, b) => a + b, 0);
  for (let i = 0; i < p.length; i++) p[i] /= sum;
  return p;
}

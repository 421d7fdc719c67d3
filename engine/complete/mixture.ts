/** Mixes what the model says with what the text says: the likeliest token of the weighted sum of their probabilities. */

/** A distribution of the next token that gets a share of the mixture. */
export interface Part {
  /** 0 .. 1; what was mixed before gets the rest. */
  readonly share: number;
  /** Probabilities by token, together 1. */
  readonly tokens: ReadonlyMap<number, number>;
}

/** A token and how likely it is, 0 .. 1. */
export interface Likely {
  readonly id: number;
  readonly probability: number;
}

/** The most likely next token where `parts` are mixed, one after another, into what the model says, [vocabSize] logits. */
export function likeliest(logits: Float32Array, parts: readonly Part[] = []): Likely {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i;
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i] - logits[best]);
  const mixed = (id: number) => {
    const ofModel = Math.exp(logits[id] - logits[best]) / sum;
    return parts.reduce((p, { share, tokens }) => (1 - share) * p + share * (tokens.get(id) ?? 0), ofModel);
  };
  let likely = { id: best, probability: mixed(best) };
  for (const { tokens } of parts) {
    for (const id of tokens.keys()) {
      const probability = mixed(id);
      if (probability > likely.probability) likely = { id, probability };
    }
  }
  return likely;
}

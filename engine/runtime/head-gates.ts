/** Estimates which key/value heads of a model need far tokens, from nothing but reading a text. */
import { farShare, rankedGates } from "../attention/gates.ts";
import { type AttentionPlan, exactPlan, type HeadGates } from "../attention/plan.ts";
import { toSlots } from "../attention/slots.ts";
import type { DecoderConfig, Weights } from "../models/types.ts";
import { Decoder } from "./decoder.ts";
import { asFloats } from "./kv-cache.ts";
import type { SessionOptions } from "./session.ts";

/** Tokens of a run between two of them. */
const RUN_TOKENS = 128;

/** Queries looked at, spread over the second half of the text. */
const N_QUERIES = 32;

/** More than any text has. */
const ALL_BLOCKS = 2 ** 20;

/** Every layer chooses blocks, and so tells its queries; nothing is left out. */
export function probingPlan(config: DecoderConfig): AttentionPlan {
  const exact = exactPlan(config);
  const blocks = { kind: "select", selector: "mean", budget: ALL_BLOCKS } as const;
  return { ...exact, layers: exact.layers.map(({ heads }) => ({ heads, blocks })) };
}

/** The exact plan with one layer that chooses, by the attention that it pays to all keys anyway, and so tells its queries. */
export function tellingPlan(config: DecoderConfig, layer: number): AttentionPlan {
  const exact = exactPlan(config);
  const blocks = { kind: "select", selector: "attention", budget: ALL_BLOCKS } as const;
  return { ...exact, layers: exact.layers.map((one, i) => (i === layer ? { ...one, blocks } : one)) };
}

/**
 * An estimate, from the attention that the heads pay to what streaming would hide while the model reads `ids`, a text of
 * the kind it will be used on and several times longer than sinks and window. Learned gates are better: attention to far
 * tokens is not always needed.
 */
export async function estimateGates(
  model: { readonly config: DecoderConfig; readonly weights: Weights },
  ids: readonly number[],
  options: SessionOptions & { readonly sinks: number; readonly window: number },
): Promise<HeadGates> {
  const decoder = await Decoder.open(model, { ...options, plan: probingPlan(model.config) });
  try {
    return await measuredGates(decoder, model.config, ids, options);
  } finally {
    await decoder.close();
  }
}

/** The same with a decoder that attends by the probing plan, whose cache is overwritten. */
export async function measuredGates(
  decoder: Decoder,
  { nLayers, nHeads, nKvHeads, headSize, rope }: DecoderConfig,
  ids: readonly number[],
  span: { readonly sinks: number; readonly window: number },
): Promise<HeadGates> {
  const nGroup = nHeads / nKvHeads;
  const needs = Array.from({ length: nLayers }, () => new Array<number>(nKvHeads).fill(0));
  let nRead = 0;
  for (let i = 1; i <= N_QUERIES; i++) {
    const query = Math.round((ids.length * (N_QUERIES + i)) / (2 * N_QUERIES)) - 1;
    for (; nRead < query; nRead = Math.min(nRead + RUN_TOKENS, query)) {
      await decoder.run(ids.slice(nRead, Math.min(nRead + RUN_TOKENS, query)), nRead, []);
    }
    await decoder.run([ids[query]], query, []);
    nRead = query + 1;
    const { keys } = decoder.take(0, nRead);
    toSlots(asFloats(keys), nRead, headSize, rope, 0);
    const rows = Float32Array.from(asFloats(keys));
    for (let layer = 0; layer < nLayers; layer++) {
      const queries = decoder.queriesOf(layer);
      for (let head = 0; head < nKvHeads; head++) {
        const from = (layer * nKvHeads + head) * nRead * headSize;
        const ofHead = queries.subarray(head * nGroup * headSize, (head + 1) * nGroup * headSize);
        const keysOfHead = rows.subarray(from, from + nRead * headSize);
        needs[layer][head] += farShare(ofHead, keysOfHead, headSize, { ...span, query }) / N_QUERIES;
      }
    }
  }
  return rankedGates(needs);
}

/** Estimates which key/value heads of a model need far tokens, from nothing but reading a text. */
import { farShare, rankedGates } from "../attention/gates.ts";
import { exactPlan, type HeadGates } from "../attention/plan.ts";
import { toSlots } from "../attention/slots.ts";
import type { DecoderConfig, Weights } from "../models/types.ts";
import { Decoder } from "./decoder.ts";
import { asFloats } from "./kv-cache.ts";
import type { SessionOptions } from "./session.ts";

/** Queries looked at, spread over the second half of the text. */
const N_QUERIES = 32;

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
  const { nLayers, nHeads, nKvHeads, headSize, rope } = model.config;
  const nGroup = nHeads / nKvHeads;
  // Layers that choose blocks tell their queries; a budget as long as the text leaves nothing out.
  const exact = exactPlan(model.config);
  const blocks = { kind: "select", selector: "mean", budget: Math.max(ids.length, 3) } as const;
  const plan = { ...exact, layers: exact.layers.map(({ heads }) => ({ heads, blocks })) };
  const decoder = await Decoder.open(model, { ...options, plan });
  try {
    const needs = Array.from({ length: nLayers }, () => new Array<number>(nKvHeads).fill(0));
    let nRead = 0;
    for (let i = 1; i <= N_QUERIES; i++) {
      const query = Math.round((ids.length * (N_QUERIES + i)) / (2 * N_QUERIES)) - 1;
      if (query > nRead) await decoder.run(ids.slice(nRead, query), nRead, []);
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
          const share = farShare(ofHead, rows.subarray(from, from + nRead * headSize), headSize, { ...options, query });
          needs[layer][head] += share / N_QUERIES;
        }
      }
    }
    return rankedGates(needs);
  } finally {
    await decoder.close();
  }
}

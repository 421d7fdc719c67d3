/** The inputs of HyperAttention for a run (engine/attention/hyper.ts). */

import { UNUSED } from "../attention/heads.ts";
import { HYPER_SINKS, type HyperPlan, hyperLayout } from "../attention/hyper.ts";
import { Tensor } from "./session.ts";

const int64 = (data: BigInt64Array) => new Tensor("int64", data, [data.length]);
const one = (n: number) => int64(BigInt64Array.of(BigInt(n)));

/** Of a run of `n` tokens with `nGroup` queries each behind `nPast` others, and whether it is one of a long prompt. */
export function hyperInputs(plan: HyperPlan, nPast: number, n: number, nGroup: number, isFar: boolean) {
  const inputs = { is_far: new Tensor("bool", Uint8Array.of(isFar ? 1 : 0), [1]), "hyper.past": one(nPast) };
  // The other way of attending looks at none of these.
  const layout = isFar ? hyperLayout(plan, nPast, n * nGroup) : NOTHING;
  const { middle, rowsPerBlock, samples, sampleBias, spread, pick } = layout;
  const nBefore = isFar ? nPast - middle : 0;
  const nExact = nBefore + (isFar ? n : 0);
  const nTokens = isFar ? n : 0;
  const exactBias = new Float32Array(nTokens * nExact);
  for (let token = 0; token < nTokens; token++) {
    exactBias.fill(UNUSED, token * nExact + nBefore + token + 1, (token + 1) * nExact);
  }
  const sizes = BigInt64Array.of(BigInt(plan.block), BigInt(plan.samples), BigInt(nExact));
  return {
    ...inputs,
    "hyper.middle_end": one(HYPER_SINKS + middle),
    "hyper.rows_per_block": one(rowsPerBlock),
    "hyper.samples": int64(samples),
    "hyper.sample_bias": new Tensor("float32", sampleBias, [spread.length, samples.length]),
    "hyper.spread": int64(spread),
    "hyper.pick": int64(pick),
    "hyper.exact_bias": new Tensor("float32", exactBias, [nTokens, nExact]),
    "hyper.sizes": int64(sizes),
  };
}

const NOTHING = {
  ...{ middle: 0, rowsPerBlock: 1, sampleBias: new Float32Array(0) },
  ...{ samples: new BigInt64Array(0), spread: new BigInt64Array(0), pick: new BigInt64Array(0) },
};

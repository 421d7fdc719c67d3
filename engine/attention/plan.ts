/** The attention plan: which keys each layer of a model attends to, as a plain value that can be stored and compared. */
import { LongsightError } from "../errors.ts";
import type { DecoderConfig } from "../models/types.ts";

/** Every query attends to every earlier key. */
export interface DenseLayer {
  readonly kind: "dense";
}

/** How one layer attends. */
export type LayerPlan = DenseLayer;

export interface AttentionPlan {
  /** One entry per layer, from the first to the last. */
  readonly layers: readonly LayerPlan[];
}

/** The preset `exact`: what the model computes with full attention. */
export function exactPlan(config: DecoderConfig): AttentionPlan {
  return { layers: Array.from({ length: config.nLayers }, () => ({ kind: "dense" })) };
}

/** Throws bad-input unless the plan fits the model. */
export function checkPlan(plan: AttentionPlan, config: DecoderConfig): void {
  if (plan.layers.length !== config.nLayers) {
    throw new LongsightError(
      "bad-input",
      `The attention plan describes ${plan.layers.length} layers, but the model has ${config.nLayers}; make a plan for this model.`,
    );
  }
  const unknown = plan.layers.find((layer) => layer.kind !== "dense");
  if (unknown !== undefined) {
    const kind = String((unknown as { kind: unknown }).kind);
    throw new LongsightError("bad-input", `The attention plan uses the unknown layer kind "${kind}"; use "dense".`);
  }
}

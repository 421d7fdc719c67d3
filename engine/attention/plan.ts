/**
 * The attention plan: which keys each layer and head of a model attends to, as a plain value that can be stored and
 * compared. While several tokens are read at once (a prompt), retrieval heads attend to every earlier key; the choice of
 * blocks is made for single tokens (answers), where reading keys is what costs time.
 */
import { LongsightError } from "../errors.ts";
import type { DecoderConfig } from "../models/types.ts";
import type { Calibration } from "./calibration.ts";
import { HYPER_RECENT, HYPER_SINKS, type HyperPlan } from "./hyper.ts";

/** Tokens of a block, the unit in which keys are chosen. */
export const BLOCK_TOKENS = 64;

/** A retrieval head may attend to every earlier key, a streaming head to the first tokens and the latest (DuoAttention). */
export type HeadRole = "retrieval" | "streaming";

/**
 * What blocks are chosen by: the mean of their keys, the most that one of their keys can score, or the attention itself,
 * which then reads all keys (TidalDecode).
 */
export const SELECTORS = ["mean", "bound", "attention"] as const;
export type Selector = (typeof SELECTORS)[number];

/** What the retrieval heads of a layer read when a single token is processed. */
export type BlockPlan =
  | { readonly kind: "all" }
  /** Choose blocks, and read those. */
  | { readonly kind: "select"; readonly selector: Selector; readonly budget: number }
  /** Read the best of the blocks that the last choosing layer chose. `budget` counts blocks, here and above. */
  | { readonly kind: "reuse"; readonly budget: number }
  /** Read so many of the keys that the layer before read, those that got most attention since the choice (SpAtten). */
  | { readonly kind: "prune"; readonly keys: number };

export interface LayerPlan {
  /** One for each key/value head: the query heads of a group share its role. */
  readonly heads: readonly HeadRole[];
  readonly blocks: BlockPlan;
}

export interface AttentionPlan {
  /** One entry per layer, from the first to the last. */
  readonly layers: readonly LayerPlan[];
  /** What streaming heads attend to: the first `sinks` tokens, and the last `window`, the token itself included. */
  readonly sinks: number;
  readonly window: number;
  /**
   * How long chosen blocks are used again (Recycled Attention): for `maxTokens` tokens, and only while the cosine between
   * the layer's queries and those it chose with stays above `minCosine`.
   */
  readonly refresh: { readonly maxTokens: number; readonly minCosine: number };
  /** How retrieval heads read the runs of long prompts, the last one apart; exactly where it is absent (HyperAttention). */
  readonly longPrompts?: HyperPlan;
  /** How the first tokens of texts that are placed behind others are damped; not at all where it is absent (ACT). */
  readonly calibration?: Calibration;
}

const STREAMING = { sinks: 64, window: 256 };
const LONG_PROMPTS: HyperPlan = { fromTokens: 16_384, block: 256, samples: 768 };
const EVERY_TOKEN = { maxTokens: 1, minCosine: -1 };
const ALL: BlockPlan = { kind: "all" };

/** The preset `exact`: what the model computes with full attention. */
export function exactPlan(config: DecoderConfig): AttentionPlan {
  const heads = rolesOf(config, undefined, []);
  return { layers: heads.map((roles) => ({ heads: roles, blocks: ALL })), ...STREAMING, refresh: EVERY_TOKEN };
}

/** How much each key/value head needs far tokens, from 0 to 1: [nLayers][nKvHeads]. */
export type HeadGates = readonly (readonly number[])[];

/**
 * The preset `balanced`: two dense layers, then blocks chosen by the attention of two layers, anew for every token. Heads
 * whose gate lies below a half stream; without gates none does. Throws bad-input where the gates do not fit the model.
 */
export function balancedPlan(config: DecoderConfig, gates?: HeadGates): AttentionPlan {
  const choosing = [Math.min(2, config.nLayers - 1), Math.round(0.4 * config.nLayers)];
  const layers = rolesOf(config, gates, choosing).map((heads, layer): LayerPlan => {
    if (layer < choosing[0]) return { heads, blocks: ALL };
    const budget = 64;
    if (choosing.includes(layer)) return { heads, blocks: { kind: "select", selector: "attention", budget } };
    return { heads, blocks: { kind: "reuse", budget } };
  });
  return { layers, ...STREAMING, refresh: EVERY_TOKEN };
}

/**
 * The preset `fast`: every layer reads blocks chosen by their keys' means, fewer of them in deeper layers (SpAtten), for
 * up to eight tokens. Heads stream as in `balanced`. Prompts are read in near-linear time from 16,384 tokens on.
 */
export function fastPlan(config: DecoderConfig, gates?: HeadGates): AttentionPlan {
  const choosing = [0, Math.min(2, config.nLayers - 1), Math.round(0.4 * config.nLayers)];
  const layers = rolesOf(config, gates, choosing).map((heads, layer): LayerPlan => {
    const budget = layer < config.nLayers / 3 ? 40 : layer < (2 * config.nLayers) / 3 ? 28 : 20;
    if (choosing.includes(layer)) return { heads, blocks: { kind: "select", selector: "mean", budget } };
    return { heads, blocks: { kind: "reuse", budget } };
  });
  return { layers, ...STREAMING, refresh: { maxTokens: 8, minCosine: 0.8 }, longPrompts: LONG_PROMPTS };
}

/** The presets by name; `split` is `balanced` with the heads split by gates, which it needs. */
export const PLANS = {
  exact: exactPlan,
  balanced: (config: DecoderConfig) => balancedPlan(config),
  fast: (config: DecoderConfig) => fastPlan(config),
  split: balancedPlan,
} as const;
export type PlanName = keyof typeof PLANS;

/** In the layers that choose, at least the head that needs far tokens most retrieves. */
function rolesOf(
  { nLayers, nKvHeads }: DecoderConfig,
  gates: HeadGates | undefined,
  choosing: readonly number[],
): HeadRole[][] {
  if (gates && (gates.length !== nLayers || gates.some((layer) => layer.length !== nKvHeads))) {
    throw refused(`describes other heads than the model's ${nLayers} x ${nKvHeads}; learn the gates of this model`);
  }
  return Array.from({ length: nLayers }, (_, layer) => {
    const ofLayer = gates?.[layer] ?? new Array<number>(nKvHeads).fill(1);
    const bar = choosing.includes(layer) ? Math.min(0.5, Math.max(...ofLayer)) : 0.5;
    return ofLayer.map((gate) => (gate >= bar ? "retrieval" : "streaming"));
  });
}

/** Blocks that are always chosen: the first, the last two. A smaller budget would leave out the text's own end. */
export const MIN_BUDGET = 3;

/** Throws bad-input unless the plan fits the model and itself. */
export function checkPlan(plan: AttentionPlan, config: DecoderConfig): void {
  const { layers, sinks, window, refresh } = plan;
  if (layers.length !== config.nLayers) {
    throw refused(`describes ${layers.length} layers, the model has ${config.nLayers}; make a plan for this model`);
  }
  if (!Number.isInteger(sinks) || sinks < 0) throw refused(`has ${sinks} sinks; use a whole number of 0 or more`);
  if (!Number.isInteger(window) || window < 1) throw refused(`has a window of ${window}; use a whole number from 1`);
  if (!Number.isInteger(refresh.maxTokens) || refresh.maxTokens < 1) {
    throw refused(`chooses blocks for ${refresh.maxTokens} tokens; use a whole number from 1`);
  }
  if (!(refresh.minCosine >= -1 && refresh.minCosine <= 1)) {
    throw refused(`has a least cosine of ${refresh.minCosine}; use a number from -1 to 1`);
  }
  if (plan.longPrompts) checkLongPrompts(plan.longPrompts);
  let chosen: Chosen = { blocks: 0, keys: 0 };
  for (const [layer, { heads, blocks }] of layers.entries()) {
    if (heads.length !== config.nKvHeads) {
      throw refused(`gives layer ${layer} ${heads.length} heads, the model has ${config.nKvHeads}; give each a role`);
    }
    const unknown = heads.find((role) => role !== "retrieval" && role !== "streaming");
    if (unknown !== undefined) throw refused(`has a head that is "${unknown}"; use "retrieval" or "streaming"`);
    chosen = checkBlocks(layer, heads, blocks, chosen);
  }
  if (plan.calibration) checkCalibration(plan.calibration, layers);
}

function checkCalibration({ keep, heads, detect }: Calibration, layers: readonly LayerPlan[]): void {
  if (!(keep > 0 && keep <= 1))
    throw refused(`lets sinks keep ${keep} of their attention; use a number above 0 up to 1`);
  if (detect !== undefined && !(detect > 1 && Number.isFinite(detect))) {
    throw refused(`takes tokens with ${detect} even shares of attention for sinks; use a number above 1`);
  }
  if (heads.length !== layers.length) {
    throw refused(`damps sinks in ${heads.length} layers, the model has ${layers.length}; give each layer's heads`);
  }
  for (const [layer, some] of heads.entries()) {
    const wrong = some.find((head) => layers[layer].heads[head] !== "retrieval");
    if (wrong === undefined) continue;
    throw refused(`damps sinks in head ${wrong} of layer ${layer}, which does not retrieve; use heads that do`);
  }
}

function checkLongPrompts({ fromTokens, block, samples }: HyperPlan): void {
  for (const n of [block, samples]) {
    if (!Number.isInteger(n) || n < 1) throw refused(`reads long prompts by ${n} keys; use a whole number from 1`);
  }
  const least = HYPER_SINKS + HYPER_RECENT + block;
  if (Number.isInteger(fromTokens) && fromTokens >= least) return;
  throw refused(`calls prompts of ${fromTokens} tokens long; use a whole number from ${least}`);
}

/** The most that the next layer may read again: whole blocks, none behind a layer that left out some of their keys. */
interface Chosen {
  readonly blocks: number;
  readonly keys: number;
}

/** Checks what a layer reads, given what was read before it; what may be read again behind it. */
function checkBlocks(layer: number, heads: readonly HeadRole[], blocks: BlockPlan, chosen: Chosen): Chosen {
  if (blocks.kind === "all") return chosen;
  if (blocks.kind === "prune") {
    const { keys } = blocks;
    if (Number.isInteger(keys) && keys >= 1 && keys <= chosen.keys) return { blocks: 0, keys };
    throw refused(`lets layer ${layer} read ${keys} of ${chosen.keys} keys; use a whole number from 1 up to those`);
  }
  if (blocks.kind !== "select" && blocks.kind !== "reuse") {
    const kind = String((blocks as { kind: unknown }).kind);
    throw refused(`lets layer ${layer} read blocks by "${kind}"; use "all", "select", "reuse" or "prune"`);
  }
  const { budget } = blocks;
  if (!Number.isInteger(budget) || budget < MIN_BUDGET) {
    throw refused(`lets layer ${layer} read ${budget} blocks; use a whole number from ${MIN_BUDGET}`);
  }
  const all = { blocks: budget, keys: budget * BLOCK_TOKENS };
  if (blocks.kind === "reuse") {
    // Of keys that only this layer reads it is not known what others would have given them.
    if (budget <= chosen.blocks) return { blocks: chosen.blocks, keys: all.keys <= chosen.keys ? all.keys : 0 };
    throw refused(
      `lets layer ${layer} use ${budget} blocks again where ${chosen.blocks} were chosen; choose more before it`,
    );
  }
  if (!SELECTORS.includes(blocks.selector)) {
    throw refused(`chooses by "${blocks.selector}" in layer ${layer}; use "mean", "bound" or "attention"`);
  }
  if (!heads.includes("retrieval")) {
    throw refused(`lets layer ${layer} choose blocks, but all its heads stream; choose in a layer that retrieves`);
  }
  return all;
}

const refused = (what: string) => new LongsightError("bad-input", `The attention plan ${what}.`);

/**
 * What leaving keys out costs a trained external model: stories260K, on text it wrote itself, the longest it can read.
 * Budgets are far below what the presets allow, since its context has only eight blocks.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { rankedGates } from "../../engine/attention/gates.ts";
import {
  type AttentionPlan,
  BLOCK_TOKENS,
  type BlockPlan,
  exactPlan,
  type HeadGates,
  type HeadRole,
  type Selector,
} from "../../engine/attention/plan.ts";
import { type OpenModel, openModel } from "../../engine/models/open-model.ts";
import type { DecoderConfig } from "../../engine/models/types.ts";
import { packageRoot } from "../../engine/paths.ts";
import { type OnShares, referenceLogits } from "../../engine/reference.ts";
import { Decoder } from "../../engine/runtime/decoder.ts";
import { estimateGates } from "../../engine/runtime/head-gates.ts";
import { atLeast, type Row, told } from "../bench/rows.ts";
import { ownText } from "./own-text.ts";

const options = { nThreads: 2, accuracy: "float" } as const;

/** Blocks read of the eight that the text has at its end. */
const BUDGET = 4;

/** Queries before this have few blocks to choose from. */
const FIRST_QUERY = 320;

interface Method {
  readonly name: string;
  readonly plan: (config: DecoderConfig) => AttentionPlan;
}

const layers = (config: DecoderConfig, at: (layer: number) => Partial<AttentionPlan["layers"][number]>) =>
  exactPlan(config).layers.map((layer, i) => ({ ...layer, ...at(i) }));

const choosing =
  (selector: Selector, choosers: number[], maxTokens = 1) =>
  (config: DecoderConfig) => ({
    ...exactPlan(config),
    layers: layers(config, (layer) => {
      if (choosers.includes(layer)) return { blocks: { kind: "select", selector, budget: BUDGET } };
      return layer < choosers[0] ? {} : { blocks: { kind: "reuse", budget: BUDGET } };
    }),
    refresh: { maxTokens, minCosine: -1 },
  });

/** One choice, in layer 1, of which the later layers read so much. */
const narrowingFrom =
  (budget: number) =>
  (...later: readonly BlockPlan[]) =>
  (config: DecoderConfig) => ({
    ...exactPlan(config),
    layers: layers(config, (layer) => {
      if (layer === 1) return { blocks: { kind: "select", selector: "attention", budget } };
      return layer === 0 ? {} : { blocks: later[layer - 2] };
    }),
  });
const narrowing = narrowingFrom(BUDGET);
const tapering = narrowingFrom(6);

const reuse = (budget: number): BlockPlan => ({ kind: "reuse", budget });
const prune = (keys: number): BlockPlan => ({ kind: "prune", keys });

const ALL_LAYERS = [0, 1, 2, 3, 4];

const METHODS: readonly Method[] = [
  { name: "blocks by their means, every layer", plan: choosing("mean", ALL_LAYERS) },
  { name: "blocks by their keys' bounds (Quest), every layer", plan: choosing("bound", ALL_LAYERS) },
  { name: "blocks by attention, layers 1 and 3", plan: choosing("attention", [1, 3]) },
  { name: "the same for 8 tokens", plan: choosing("attention", [1, 3], 8) },
  { name: "blocks chosen in layer 1, layers 2 to 4 read 256 keys", plan: narrowing(reuse(4), reuse(4), reuse(4)) },
  { name: "the same, 192 keys, as 3 blocks", plan: narrowing(reuse(3), reuse(3), reuse(3)) },
  { name: "the same, 192 keys, pruned", plan: narrowing(prune(192), prune(192), prune(192)) },
  { name: "the same, 192, 128 and 64 keys, pruned", plan: narrowing(prune(192), prune(128), prune(64)) },
  { name: "the same, 64, 32 and 16 keys, pruned", plan: narrowing(prune(64), prune(32), prune(16)) },
  { name: "6 blocks, then 6, 4 and 3, as the preset fast tapers", plan: tapering(reuse(6), reuse(4), reuse(3)) },
  { name: "the same, as many keys, pruned", plan: tapering(prune(384), prune(256), prune(192)) },
];

/** What streaming heads see of a context of 512 tokens. */
const SPAN = { sinks: 4, window: 64 };

/** What `python -m training.gates` learned for the model with this span (LAB.md). */
export function storiesGates(): HeadGates {
  const path = join(packageRoot, "test", "eval", "stories260K-gates.json");
  return (JSON.parse(readFileSync(path, "utf8")) as { gates: number[][] }).gates;
}

/** The heads stream whose gates lie below a half, or the others. */
const streaming = (config: DecoderConfig, gates: HeadGates, which: "low" | "high"): AttentionPlan => ({
  ...exactPlan(config),
  ...SPAN,
  layers: layers(config, (layer) => ({
    heads: gates[layer].map((gate): HeadRole => (gate < 0.5 === (which === "low") ? "streaming" : "retrieval")),
  })),
});

/** Rows of all methods; `path` is the model's folder. */
export async function evaluateAttention(path: string): Promise<Row[]> {
  const model = await openModel(path);
  try {
    const ids = await ownText(model, model.config.contextLength, 1);
    const exact = await bitsPerToken(model, exactPlan(model.config), ids);
    const rows = [told("stories260K, exact", exact.bits, "bits/token")];
    const recalls = new Recalls(model, ids);
    for (const { name, plan } of METHODS) {
      const value = plan(model.config);
      const { bits, chosen } = await bitsPerToken(model, value, ids);
      rows.push(told(`stories260K, ${name}: cost`, bits - exact.bits, "bits/token"));
      // Only of what is read of the choice as a whole.
      if (
        value.layers.some(
          ({ blocks }) => blocks.kind === "prune" || (blocks.kind === "reuse" && blocks.budget !== BUDGET),
        )
      )
        continue;
      const what = `attention mass in ${BUDGET} of 8 blocks / in the best ${BUDGET} of each layer`;
      rows.push(atLeast(`stories260K, ${name}: ${what}`, recalls.of(value, chosen), "", 0.9));
    }
    const gates = {
      estimated: await estimateGates(model, ids, { ...options, ...SPAN }),
      learned: rankedGates(storiesGates()),
    };
    for (const [how, some] of Object.entries(gates)) {
      for (const which of ["low", "high"] as const) {
        const { bits } = await bitsPerToken(model, streaming(model.config, some, which), ids);
        const what = `half of the heads streaming, those with ${which} ${how} gates: cost`;
        rows.push(told(`stories260K, ${what}`, bits - exact.bits, "bits/token"));
      }
    }
    return rows;
  } finally {
    model.close();
  }
}

/** The mean over the last queries, read one by one; and what each choosing layer chose for each of them. */
async function bitsPerToken(model: OpenModel, plan: AttentionPlan, ids: readonly number[]) {
  const decoder = await Decoder.open(model, { ...options, plan });
  const chosen = new Map<string, readonly number[]>();
  let [bits, n] = [0, 0];
  for (let at = 0; at + 1 < ids.length; at++) {
    const logits = await decoder.run([ids[at]], at, [0]);
    if (at < FIRST_QUERY) continue;
    const max = logits.reduce((a, b) => Math.max(a, b));
    const sum = logits.reduce((total, logit) => total + Math.exp(logit - max), 0);
    bits += (Math.log(sum) + max - logits[ids[at + 1]]) / Math.LN2;
    n++;
    for (const [layer, { blocks }] of plan.layers.entries()) {
      if (blocks.kind === "select") chosen.set(`${layer} ${at}`, decoder.chosenBy(layer));
    }
  }
  await decoder.close();
  return { bits: bits / n, chosen };
}

/** How much of the reference's dense attention lies in chosen blocks. */
class Recalls {
  /** By layer and query: the mass of each block, the mean over the heads. */
  readonly #masses = new Map<string, number[]>();

  constructor({ config, weights }: OpenModel, ids: readonly number[]) {
    const onShares: OnShares = (layer, _, query, shares) => {
      if (query < FIRST_QUERY || query + 1 >= ids.length) return;
      const key = `${layer} ${query}`;
      const masses = this.#masses.get(key) ?? new Array<number>(Math.ceil(query / BLOCK_TOKENS)).fill(0);
      for (let past = 0; past < query; past++) masses[Math.floor(past / BLOCK_TOKENS)] += shares[past] / config.nHeads;
      this.#masses.set(key, masses);
    };
    referenceLogits(config, weights, ids, () => true, onShares);
  }

  /** The mean over layers that do not read everything, and queries. */
  of(plan: AttentionPlan, chosen: ReadonlyMap<string, readonly number[]>): number {
    let [sum, n] = [0, 0];
    for (const [key, masses] of this.#masses) {
      const [layer, query] = key.split(" ").map(Number);
      let chooser = layer;
      while (chooser >= 0 && plan.layers[chooser].blocks.kind !== "select") chooser--;
      const blocks = chosen.get(`${chooser} ${query}`);
      if (blocks === undefined || plan.layers[layer].blocks.kind === "all") continue;
      const best = [...masses].sort((a, b) => b - a).slice(0, BUDGET);
      const total = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);
      sum += total(blocks.map((block) => masses[block] ?? 0)) / total(best);
      n++;
    }
    return sum / n;
  }
}

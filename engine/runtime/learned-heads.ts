/**
 * What was learned of a model's heads and lies beside it, in its folder or behind a GGUF file's name: gates
 * (`training/gates.py`), and the heads that profit from damped sinks (`npm run eval -- calibration`). Both are bound to the
 * files they were learned for; of others they would name the wrong heads.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Calibration } from "../attention/calibration.ts";
import type { AttentionPlan, HeadGates } from "../attention/plan.ts";
import { contentHash } from "../models/content-hash.ts";
import type { ModelFile } from "../models/files/model-file.ts";
import { readJsonFile } from "../models/files/small-file.ts";
import type { ModelWork } from "../models/model-work.ts";
import type { DecoderConfig } from "../models/types.ts";

const NAME = "longsight-gates.json";

export interface LearnedHeads {
  readonly gates?: HeadGates;
  readonly calibration?: Calibration;
}

/** Where it lies. */
export const learnedPath = ({ format, path }: Pick<ModelFile, "format" | "path">) =>
  format === "gguf" ? `${path}.${NAME}` : join(path, NAME);

/** Nothing where there is none, or, with a line in the log, where it is not of this model. Errors: cancelled. */
export async function learnedHeads(
  file: Pick<ModelFile, "format" | "path" | "files">,
  shape: Pick<DecoderConfig, "nLayers" | "nKvHeads">,
  work: ModelWork = {},
): Promise<LearnedHeads> {
  const beside = learnedPath(file);
  if (!existsSync(beside)) return {};
  const found = read(beside, shape);
  if (found && found.model === (await contentHash(file.files, work))) return found.learned;
  const why = found ? "they were learned for other weights" : "they are not those of its heads";
  console.warn(`The gates in ${beside} are not used: ${why}; learn them again.`);
  return {};
}

/** A plan with sinks damped in the heads that were found to profit, of those that retrieve. */
export function withCalibration(plan: AttentionPlan, calibration: Calibration | undefined): AttentionPlan {
  if (calibration === undefined) return plan;
  const heads = calibration.heads.map((some, layer) =>
    some.filter((head) => plan.layers[layer].heads[head] === "retrieval"),
  );
  return heads.some(({ length }) => length > 0) ? { ...plan, calibration: { ...calibration, heads } } : plan;
}

function read(path: string, shape: Pick<DecoderConfig, "nLayers" | "nKvHeads">) {
  try {
    const { model, gates, calibration } = readJsonFile(path);
    const isKnown = gates !== undefined || calibration !== undefined;
    const fits =
      (gates === undefined || areGates(gates, shape)) && (calibration === undefined || damps(calibration, shape));
    return isKnown && fits ? { model, learned: { gates, calibration } as LearnedHeads } : undefined;
  } catch {
    return undefined;
  }
}

function areGates(gates: unknown, { nLayers, nKvHeads }: Pick<DecoderConfig, "nLayers" | "nKvHeads">): boolean {
  const isGate = (gate: unknown) => typeof gate === "number" && gate >= 0 && gate <= 1;
  const isLayer = (layer: unknown) => Array.isArray(layer) && layer.length === nKvHeads && layer.every(isGate);
  return Array.isArray(gates) && gates.length === nLayers && gates.every(isLayer);
}

function damps(calibration: unknown, { nLayers, nKvHeads }: Pick<DecoderConfig, "nLayers" | "nKvHeads">): boolean {
  const { keep, detect, heads } = calibration as Partial<Record<keyof Calibration, unknown>>;
  const isHead = (head: unknown) => Number.isInteger(head) && (head as number) >= 0 && (head as number) < nKvHeads;
  return (
    typeof keep === "number" &&
    keep > 0 &&
    keep <= 1 &&
    (detect === undefined || (typeof detect === "number" && detect > 1)) &&
    Array.isArray(heads) &&
    heads.length === nLayers &&
    heads.every((some) => Array.isArray(some) && some.every(isHead))
  );
}

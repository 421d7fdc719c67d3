/**
 * Gates that were learned for a model (`training/gates.py`) and lie beside it: in its folder, or behind a GGUF file's name.
 * They are bound to the files they were learned for; of others they would name the wrong heads.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { HeadGates } from "../attention/plan.ts";
import { contentHash } from "../models/content-hash.ts";
import type { ModelFile } from "../models/files/model-file.ts";
import { readJsonFile } from "../models/files/small-file.ts";
import type { ModelWork } from "../models/model-work.ts";
import type { DecoderConfig } from "../models/types.ts";

const NAME = "longsight-gates.json";

/** Undefined where there are none, or, with a line in the log, where they are not of this model. Errors: cancelled. */
export async function learnedGates(
  { format, path, files }: Pick<ModelFile, "format" | "path" | "files">,
  { nLayers, nKvHeads }: Pick<DecoderConfig, "nLayers" | "nKvHeads">,
  work: ModelWork = {},
): Promise<HeadGates | undefined> {
  const beside = format === "gguf" ? `${path}.${NAME}` : join(path, NAME);
  if (!existsSync(beside)) return undefined;
  const found = readGates(beside, nLayers, nKvHeads);
  if (found && found.model === (await contentHash(files, work))) return found.gates;
  const why = found ? "they were learned for other weights" : "they are not those of its heads";
  console.warn(`The gates in ${beside} are not used: ${why}; learn them again.`);
  return undefined;
}

function readGates(path: string, nLayers: number, nKvHeads: number) {
  const isGate = (gate: unknown) => typeof gate === "number" && gate >= 0 && gate <= 1;
  const isLayer = (layer: unknown) => Array.isArray(layer) && layer.length === nKvHeads && layer.every(isGate);
  try {
    const { model, gates } = readJsonFile(path);
    if (!Array.isArray(gates) || gates.length !== nLayers || !gates.every(isLayer)) return undefined;
    return { model, gates: gates as number[][] };
  } catch {
    return undefined;
  }
}

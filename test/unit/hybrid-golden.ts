/** Golden cases of models in the default model's format, computed by the training code (PyTorch). */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { MemoryClass } from "../../engine/models/hybrid-config.ts";
import { defaultModelDir, packageRoot } from "../../engine/paths.ts";

export interface GoldenMemory {
  readonly files: readonly { readonly path: string; readonly class: MemoryClass; readonly ids: readonly number[] }[];
  readonly landmarks: readonly (readonly number[])[];
  /** The memory layer's, of the last tokens. */
  readonly query: readonly number[];
}

export interface GoldenCase {
  readonly name: string;
  readonly ids: readonly number[];
  /** Of the last prompt position. */
  readonly logits: readonly number[];
  readonly greedy: readonly number[];
  readonly memory?: GoldenMemory;
}

export interface GoldenModel {
  readonly name: string;
  readonly folder: string;
  readonly skip: string | false;
  cases(): GoldenCase[];
}

function goldenModel(name: string, folder: string): GoldenModel {
  const path = join(folder, "golden.json");
  const skip = existsSync(path) ? false : `${name} has not been exported`;
  return { name, folder, skip, cases: () => (JSON.parse(readFileSync(path, "utf8")) as { cases: GoldenCase[] }).cases };
}

/** Five layers with random weights and a short window. */
export const fixture = goldenModel("the hybrid fixture", join(packageRoot, "test", "fixtures", "models", "hybrid"));

export const shipped = goldenModel("the default model", defaultModelDir);

export const goldenModels = [fixture, shipped];

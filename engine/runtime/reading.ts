/**
 * How a user's model reads repositories, as its own check on this machine has found: one small file for each model, by
 * the fingerprint of its weights.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type HeadGates, PLANS, type PlanName } from "../attention/plan.ts";
import { fileError } from "../errors.ts";
import { openModelFile } from "../models/files/open.ts";
import type { ModelWork } from "../models/model-work.ts";
import { locateWeights } from "../models/open-model.ts";
import { temporaryName } from "../models/temporary-file.ts";
import { cacheDir } from "../paths.ts";

export const PLAN_NAMES = Object.keys(PLANS) as PlanName[];

/** From blocks that were encoded before, or from text that is packed into the prompt. */
export const WAYS = ["memory", "packed"] as const;
export type Way = (typeof WAYS)[number];

export interface Reading {
  readonly way: Way;
  readonly plan: PlanName;
  /** Whether a check has found it. */
  readonly isChecked: boolean;
}

/** Of a model that has not been checked: nothing is left out, and the text itself is read. */
export const DEFAULT_READING: Reading = { way: "packed", plan: "exact", isChecked: false };

/** What was found for a model; undefined where nothing was, or what is there cannot be read. */
export function readReading(fingerprint: string): Reading | undefined {
  try {
    const { way, plan } = JSON.parse(readFileSync(pathOf(fingerprint), "utf8")) as Partial<Reading>;
    if (!WAYS.includes(way as Way) || !Object.hasOwn(PLANS, plan ?? "")) return undefined;
    return { way: way as Way, plan: plan as PlanName, isChecked: true };
  } catch {
    return undefined;
  }
}

/** The gates of a model's heads, as its check has estimated them; undefined as above. */
export function readGates(fingerprint: string): HeadGates | undefined {
  try {
    const gates = JSON.parse(readFileSync(pathOf(fingerprint, "gates"), "utf8")) as unknown;
    const isGate = (gate: unknown) => typeof gate === "number" && gate >= 0 && gate <= 1;
    const isLayer = (layer: unknown) => Array.isArray(layer) && layer.every(isGate);
    return Array.isArray(gates) && gates.every(isLayer) ? (gates as number[][]) : undefined;
  } catch {
    return undefined;
  }
}

/** Errors: disk-full, no-access. */
export function writeGates(fingerprint: string, gates: HeadGates): void {
  write(pathOf(fingerprint, "gates"), gates);
}

/** How the model at a path reads, without loading it. Errors: those of opening a model, cancelled. */
export async function readingOf(path: string, work: ModelWork = {}): Promise<Reading> {
  const file = openModelFile(path);
  try {
    const { fingerprint } = await locateWeights(file, "auto", work);
    return readReading(fingerprint) ?? DEFAULT_READING;
  } finally {
    file.close();
  }
}

/** Errors: disk-full, no-access. */
export function writeReading(fingerprint: string, { way, plan }: { readonly way: Way; readonly plan: string }): void {
  write(pathOf(fingerprint), { way, plan });
}

function write(path: string, value: unknown): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    const temporary = temporaryName(path);
    writeFileSync(temporary, JSON.stringify(value));
    renameSync(temporary, path);
  } catch (error) {
    throw fileError(error, path);
  }
}

const pathOf = (fingerprint: string, kind = "reading") => join(cacheDir(), "checks", `${fingerprint}.${kind}.json`);

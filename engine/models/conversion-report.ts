/** What a model's weights become, and how far they are rounded. */
import { existsSync } from "node:fs";
import { type Conversion, isExact, measureRounding } from "./convert.ts";
import type { ModelFile } from "./files/model-file.ts";
import type { ModelWork } from "./model-work.ts";
import { locateWeights } from "./open-model.ts";
import { type ErrorSums, noError, relativeError } from "./quantise.ts";
import { partSizes } from "./weight-format.ts";
import { readWeights } from "./weight-reader.ts";

/** What the model's weights become. */
export interface ConversionReport {
  /** Whether the converted weights lie in the cache, so that the next start is only a load. */
  readonly cached: boolean;
  /** Each form that weights are converted to. */
  readonly targets: readonly TargetReport[];
}

export interface TargetReport {
  readonly precision: "float32" | "int8" | "int4";
  readonly nTensors: number;
  readonly nWeights: number;
  readonly sizeBytes: number;
  /** How many of the tensors are rounded; the others keep the file's exact values. */
  readonly nRounded: number;
  /** Relative root-mean-square rounding error of those tensors against the file's values, measured on every weight. */
  readonly relativeError: number;
  /** The tensor with the largest such error; null where none is rounded. */
  readonly worst: { readonly tensor: string; readonly relativeError: number } | null;
}

/** The bytes of a converted weight. */
export const convertedBytes = (conversion: Conversion): number =>
  partSizes(conversion).data + partSizes(conversion).scales;

/** Reports on the conversions of a plan: from the cache where it holds the weights, otherwise by rounding them all. */
export async function conversionReport(
  file: ModelFile,
  plan: readonly Conversion[],
  work: ModelWork,
): Promise<ConversionReport> {
  const cached = await cachedSums(file, work);
  const sums = cached ?? (await measuredSums(file, plan, work));
  const targets = (["f32", 8, 4] as const).flatMap((target) => {
    const conversions = plan.filter((conversion) => conversion.target === target);
    return conversions.length > 0 ? [targetReport(conversions, sums)] : [];
  });
  return { cached: cached !== undefined, targets };
}

type Sums = ReadonlyMap<string, ErrorSums>;

/** The error sums in the cache of converted weights, or undefined where the model is not there or not as written. */
async function cachedSums(file: ModelFile, work: ModelWork): Promise<Sums | undefined> {
  const { path, fingerprint } = await locateWeights(file, "auto", work);
  if (!existsSync(path)) return undefined;
  try {
    const weights = await readWeights(path, fingerprint, work);
    weights.close();
    return new Map(weights.stored.map(({ name, rounding }) => [name, rounding]));
  } catch (error) {
    if (work.signal?.aborted) throw error;
    return undefined;
  }
}

async function measuredSums(file: ModelFile, plan: readonly Conversion[], work: ModelWork): Promise<Sums> {
  const sums = new Map<string, ErrorSums>();
  for (const [i, conversion] of plan.entries()) {
    sums.set(conversion.name, await measureRounding(file, conversion, work.signal));
    work.onProgress?.({ phase: "measuring the rounding", done: i + 1, total: plan.length });
  }
  return sums;
}

function targetReport(conversions: readonly Conversion[], sums: Sums): TargetReport {
  const rounded = conversions.filter((conversion) => !isExact(conversion));
  const total = noError();
  let worst: TargetReport["worst"] = null;
  for (const { name, tensor } of rounded) {
    const own = sums.get(name) ?? noError();
    total.squaredError += own.squaredError;
    total.squaredWeights += own.squaredWeights;
    const error = relativeError(own);
    if (worst === null || error > worst.relativeError) worst = { tensor, relativeError: error };
  }
  return {
    precision: conversions[0].target === "f32" ? "float32" : `int${conversions[0].target}`,
    nTensors: conversions.length,
    nWeights: conversions.reduce((sum, { rows, cols }) => sum + rows * cols, 0),
    sizeBytes: conversions.reduce((sum, conversion) => sum + convertedBytes(conversion), 0),
    nRounded: rounded.length,
    relativeError: relativeError(total),
    worst,
  };
}

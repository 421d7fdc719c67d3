/** Looks at a model without running it: what its files hold, what becomes of its weights, whether Longsight runs it. */
import { existsSync, statSync } from "node:fs";
import { LongsightError } from "../errors.ts";
import { readConfig } from "./config.ts";
import { type Conversion, isExact, measureRounding, planConversion } from "./convert.ts";
import type { ModelFile } from "./files/model-file.ts";
import { openModelFile } from "./files/open.ts";
import { fillInTheMiddle } from "./fim.ts";
import { openHybrid } from "./hybrid.ts";
import { HYBRID_FORMAT, type HybridConfig, isHybrid, SCALE_ENDING } from "./hybrid-config.ts";
import { clipped } from "./messages.ts";
import { locateWeights, withCancelled } from "./open-model.ts";
import { type ErrorSums, relativeError } from "./quantise.ts";
import { loadTokenizer } from "./tokenizer/load.ts";
import type { DecoderConfig } from "./types.ts";
import { partSizes } from "./weight-format.ts";
import { readWeights } from "./weight-reader.ts";
import type { WriteOptions } from "./weight-writer.ts";

/** A plain JSON value. What a model that is not supported does not tell is null. */
export interface ModelReport {
  readonly path: string;
  readonly format: "gguf" | "safetensors" | typeof HYBRID_FORMAT;
  /** As the model names it. */
  readonly architecture: string | null;
  /** The bytes of all files that hold settings and weights. */
  readonly fileBytes: number;
  readonly nParameters: number;
  /** The types the file stores, the one with the most bytes first. */
  readonly tensorTypes: readonly { readonly type: string; readonly nTensors: number; readonly sizeBytes: number }[];
  readonly shape: ModelShape | null;
  readonly tokenizer: TokenizerReport | null;
  readonly conversion: ConversionReport | null;
  /** An estimate, to be shown with the word "about". */
  readonly estimatedMemory: MemoryEstimate | null;
  readonly supported: boolean;
  /** Why the model is not supported and what to do: one sentence; null where it is. */
  readonly reason: string | null;
}

export interface ModelShape {
  readonly nLayers: number;
  readonly hiddenSize: number;
  readonly ffnSize: number;
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly headSize: number;
  readonly vocabSize: number;
  /** Tokens: the longest text the model was made for. */
  readonly contextLength: number;
}

export interface TokenizerReport {
  readonly kind: "byte-level BPE" | "SentencePiece";
  readonly nTokens: number;
  readonly hasChatTemplate: boolean;
  readonly fillsInTheMiddle: boolean;
}

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

export interface MemoryEstimate {
  readonly weightsBytes: number;
  /** What each token of a conversation adds; 0 where memory does not grow with the text. */
  readonly bytesPerToken: number;
}

/**
 * Reports on a GGUF file, a safetensors folder or the default model's folder. Weights are only read where a rounding
 * error must be measured, which `onProgress` (weights done and in all) and `signal` follow. Throws a LongsightError for
 * files that are no readable model; a readable one that Longsight cannot run is reported with the reason.
 */
export async function inspectModel(path: string, options: WriteOptions = {}): Promise<ModelReport> {
  const file = openModelFile(path);
  try {
    const parts = isHybrid(file) ? hybridParts(file) : await withCancelled(path, options, decoderParts(file, options));
    return { ...containerReport(file), ...parts };
  } finally {
    file.close();
  }
}

type Parts = Pick<ModelReport, "shape" | "tokenizer" | "conversion" | "estimatedMemory" | "supported" | "reason">;
type Container = Omit<ModelReport, keyof Parts>;

function containerReport(file: ModelFile): Container {
  const byType = new Map<string, { type: string; nTensors: number; sizeBytes: number }>();
  for (const { type, byteLength } of file.tensors.values()) {
    const sum = byType.get(type) ?? { type, nTensors: 0, sizeBytes: 0 };
    sum.nTensors++;
    sum.sizeBytes += byteLength;
    byType.set(type, sum);
  }
  return {
    path: file.path,
    format: isHybrid(file) ? HYBRID_FORMAT : file.format,
    architecture: architectureName(file),
    fileBytes: file.files.reduce((sum, path) => sum + statSync(path).size, 0),
    nParameters: countParameters(file),
    tensorTypes: [...byType.values()].sort((a, b) => b.sizeBytes - a.sizeBytes),
  };
}

function architectureName(file: ModelFile): string | null {
  if (isHybrid(file)) return "hybrid";
  const name = file.metadata.get("general.architecture") ?? file.config?.model_type;
  return typeof name === "string" ? clipped(name, 60) : null;
}

/** The numbers in all tensors; the scales of the default model's int8 rows are no parameters of their own. */
function countParameters(file: ModelFile): number {
  let sum = 0;
  for (const { name, shape } of file.tensors.values()) {
    if (isHybrid(file) && name.endsWith(SCALE_ENDING)) continue;
    sum += shape.reduce((product, size) => product * size, 1);
  }
  return sum;
}

async function decoderParts(file: ModelFile, options: WriteOptions): Promise<Parts> {
  const config = attempt(() => readConfig(file));
  const tokenizer = attempt(() => loadTokenizer(file, config.value?.vocabSize));
  const plan = config.value && planConversion(file, config.value, "auto");
  const reason = config.reason ?? tokenizer.reason;
  return {
    shape: config.value ? decoderShape(config.value) : null,
    tokenizer: tokenizer.value ? tokenizerReport(tokenizer.value) : null,
    conversion: plan ? await conversionReport(file, plan, options) : null,
    estimatedMemory: config.value && plan ? decoderMemory(config.value, plan) : null,
    supported: reason === null,
    reason,
  };
}

function hybridParts(file: ModelFile): Parts {
  const model = attempt(() => openHybrid(file.path));
  const tokenizer = attempt(() => loadTokenizer(file, model.value?.config.vocabSize));
  const reason = model.reason ?? tokenizer.reason;
  return {
    shape: model.value ? hybridShape(model.value.config) : null,
    tokenizer: tokenizer.value ? tokenizerReport(tokenizer.value) : null,
    conversion: null,
    estimatedMemory: model.value ? hybridMemory(file) : null,
    supported: reason === null,
    reason,
  };
}

/** A value, or the sentence that says why there is none. */
function attempt<T>(make: () => T): { value?: T; reason: string | null } {
  try {
    return { value: make(), reason: null };
  } catch (error) {
    if (error instanceof LongsightError) return { reason: error.message };
    throw error;
  }
}

function decoderShape(config: DecoderConfig): ModelShape {
  const { nLayers, hiddenSize, ffnSize, nHeads, nKvHeads, headSize, vocabSize, contextLength } = config;
  return { nLayers, hiddenSize, ffnSize, nHeads, nKvHeads, headSize, vocabSize, contextLength };
}

/** The default model's retrieval layers share one key head; its context is what it was trained on. */
function hybridShape(config: HybridConfig): ModelShape {
  const { layers, hiddenSize, ffnSize, nHeads, headSize, vocabSize, trainedLength } = config;
  const sizes = { hiddenSize, ffnSize, nHeads, nKvHeads: 1, headSize, vocabSize };
  return { nLayers: layers.length, ...sizes, contextLength: trainedLength };
}

function tokenizerReport(tokenizer: ReturnType<typeof loadTokenizer>): TokenizerReport {
  return {
    kind: tokenizer.kind,
    nTokens: tokenizer.vocabSize,
    hasChatTemplate: tokenizer.chatTemplate !== undefined,
    fillsInTheMiddle: fillInTheMiddle(tokenizer) !== undefined,
  };
}

const sizeOf = (conversion: Conversion) => partSizes(conversion).data + partSizes(conversion).scales;

function decoderMemory({ nLayers, nKvHeads, headSize }: DecoderConfig, plan: readonly Conversion[]): MemoryEstimate {
  return {
    weightsBytes: plan.reduce((sum, conversion) => sum + sizeOf(conversion), 0),
    // A float32 key and value for every layer and head.
    bytesPerToken: 2 * nLayers * nKvHeads * headSize * 4,
  };
}

/** The default model's weights are float32 in memory. */
function hybridMemory(file: ModelFile): MemoryEstimate {
  return { weightsBytes: countParameters(file) * 4, bytesPerToken: 0 };
}

async function conversionReport(
  file: ModelFile,
  plan: readonly Conversion[],
  options: WriteOptions,
): Promise<ConversionReport> {
  const cached = await cachedSums(file, options.signal);
  const sums = cached ?? (await measuredSums(file, plan, options));
  const targets = (["f32", 8, 4] as const).flatMap((target) => {
    const conversions = plan.filter((conversion) => conversion.target === target);
    return conversions.length > 0 ? [targetReport(conversions, sums)] : [];
  });
  return { cached: cached !== undefined, targets };
}

type Sums = ReadonlyMap<string, ErrorSums>;

/** The error sums in the cache of converted weights, or undefined where the model is not there or not as written. */
async function cachedSums(file: ModelFile, signal: AbortSignal | undefined): Promise<Sums | undefined> {
  const { path, fingerprint } = await locateWeights(file, "auto", signal);
  if (!existsSync(path)) return undefined;
  try {
    const weights = await readWeights(path, fingerprint);
    weights.close();
    return new Map(weights.stored.map(({ name, rounding }) => [name, rounding]));
  } catch {
    return undefined;
  }
}

async function measuredSums(file: ModelFile, plan: readonly Conversion[], options: WriteOptions): Promise<Sums> {
  const sums = new Map<string, ErrorSums>();
  for (const [i, conversion] of plan.entries()) {
    sums.set(conversion.name, await measureRounding(file, conversion, options.signal));
    options.onProgress?.(i + 1, plan.length);
  }
  return sums;
}

function targetReport(conversions: readonly Conversion[], sums: Sums): TargetReport {
  const rounded = conversions.filter((conversion) => !isExact(conversion));
  const total = { squaredError: 0, squaredWeights: 0 };
  let worst: TargetReport["worst"] = null;
  for (const { name, tensor } of rounded) {
    const own = sums.get(name) ?? { squaredError: 0, squaredWeights: 0 };
    total.squaredError += own.squaredError;
    total.squaredWeights += own.squaredWeights;
    const error = relativeError(own);
    if (worst === null || error > worst.relativeError) worst = { tensor, relativeError: error };
  }
  return {
    precision: conversions[0].target === "f32" ? "float32" : `int${conversions[0].target}`,
    nTensors: conversions.length,
    nWeights: conversions.reduce((sum, { rows, cols }) => sum + rows * cols, 0),
    sizeBytes: conversions.reduce((sum, conversion) => sum + sizeOf(conversion), 0),
    nRounded: rounded.length,
    relativeError: relativeError(total),
    worst,
  };
}

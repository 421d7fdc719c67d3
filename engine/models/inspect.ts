/** Looks at a model without running it: what its files hold, what becomes of its weights, whether Longsight runs it. */
import { statSync } from "node:fs";
import { LongsightError } from "../errors.ts";
import { knowsTools } from "./chat-template.ts";
import { readConfig } from "./config.ts";
import { type ConversionReport, conversionReport, convertedBytes } from "./conversion-report.ts";
import { type Conversion, planConversion } from "./convert.ts";
import type { ModelFile } from "./files/model-file.ts";
import { openModelFile } from "./files/open.ts";
import { fillInTheMiddle } from "./fim.ts";
import { openHybrid } from "./hybrid.ts";
import { HYBRID_FORMAT, type HybridConfig, isHybrid, SCALE_ENDING } from "./hybrid-config.ts";
import { clipped } from "./messages.ts";
import { type ModelWork, withCancelled } from "./model-work.ts";
import { loadTokenizer } from "./tokenizer/load.ts";
import type { DecoderConfig } from "./types.ts";

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
  /** Whether that template tells the model of tools to call. */
  readonly callsTools: boolean;
  readonly fillsInTheMiddle: boolean;
}

export interface MemoryEstimate {
  readonly weightsBytes: number;
  /** What each token of a conversation adds; 0 where memory does not grow with the text. */
  readonly bytesPerToken: number;
}

/**
 * Reports on a GGUF file, a safetensors folder or the default model's folder. Weights are only read where a rounding
 * error must be measured. Throws a LongsightError for
 * files that are no readable model; a readable one that Longsight cannot run is reported with the reason.
 */
export async function inspectModel(path: string, work: ModelWork = {}): Promise<ModelReport> {
  const file = openModelFile(path);
  try {
    const parts = isHybrid(file) ? hybridParts(file) : await withCancelled(path, work, decoderParts(file, work));
    return { ...containerReport(file), ...parts };
  } finally {
    file.close();
  }
}

/** What a model can do in a chat. */
export interface ChatTraits {
  /** Tokens: the longest text the model was made for. */
  readonly contextLength: number;
  readonly callsTools: boolean;
}

/** Reads what a GGUF file or safetensors folder says of itself. Errors: bad-model, unsupported, not-found, no-access. */
export function chatTraits(path: string): ChatTraits {
  const file = openModelFile(path);
  try {
    const { contextLength, vocabSize } = readConfig(file);
    return { contextLength, callsTools: knowsTools(loadTokenizer(file, vocabSize).chatTemplate) };
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

async function decoderParts(file: ModelFile, work: ModelWork): Promise<Parts> {
  const config = attempt(() => readConfig(file));
  const tokenizer = attempt(() => loadTokenizer(file, config.value?.vocabSize));
  const plan = config.value && planConversion(file, config.value, "auto");
  const reason = config.reason ?? tokenizer.reason;
  return {
    shape: config.value ? decoderShape(config.value) : null,
    tokenizer: tokenizer.value ? tokenizerReport(tokenizer.value) : null,
    conversion: plan ? await conversionReport(file, plan, work) : null,
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
    callsTools: knowsTools(tokenizer.chatTemplate),
    fillsInTheMiddle: fillInTheMiddle(tokenizer) !== undefined,
  };
}

function decoderMemory({ nLayers, nKvHeads, headSize }: DecoderConfig, plan: readonly Conversion[]): MemoryEstimate {
  return {
    weightsBytes: plan.reduce((sum, conversion) => sum + convertedBytes(conversion), 0),
    // A float32 key and value for every layer and head.
    bytesPerToken: 2 * nLayers * nKvHeads * headSize * 4,
  };
}

/** The default model's weights are float32 in memory. */
function hybridMemory(file: ModelFile): MemoryEstimate {
  return { weightsBytes: countParameters(file) * 4, bytesPerToken: 0 };
}

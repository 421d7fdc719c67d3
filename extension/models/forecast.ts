/** What a model will take before it is loaded, from the engine's report. All sizes are estimates and said to be. */
import type { ModelReport } from "../../engine/protocol.ts";
import type { CatalogueModel, Quantisation } from "./catalogue.ts";

/** Tokens a conversation is reckoned with. */
const TALK_TOKENS = 4096;
/** Bytes of converted weights a second that are loaded, and written when nothing has to be rounded: a model of 0.5B took 0.7 s and 0.5 s. */
const LOAD_RATE = 400e6;
const WRITE_RATE = 200e6;
/** What runs a model takes besides: 220 MB were measured with a vocabulary of 152,000 tokens, most of it the vocabulary. */
const RUNTIME_BYTES = 220e6;
/** What is left to everything else on the machine. */
const SPARE_BYTES = 1024 ** 3;

export interface Forecast {
  readonly memoryBytes: number;
  /** Written once, with what is downloaded and converted; 0 where all of it is here or not needed. */
  readonly diskBytes: number;
  readonly fits: boolean;
}

export interface LoadForecast extends Forecast {
  /** Converting the weights, once; 0 where that is done or not needed. */
  readonly convertMs: number;
  readonly loadMs: number;
}

/**
 * What loading takes on a machine with so much free memory; undefined where the report does not say. Making the report
 * took `lookedMs`: where weights are rounded it has read and rounded all of them, as converting will.
 */
export function forecastOf(
  { estimatedMemory, conversion }: ModelReport,
  freeBytes: number,
  lookedMs: number,
): LoadForecast | undefined {
  if (!estimatedMemory) return undefined;
  const memoryBytes = estimatedMemory.weightsBytes + TALK_TOKENS * estimatedMemory.bytesPerToken + RUNTIME_BYTES;
  const isConverted = conversion === null || conversion.cached;
  const diskBytes = isConverted ? 0 : conversion.targets.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const convertMs = diskBytes === 0 ? 0 : Math.max(lookedMs, (1000 * diskBytes) / WRITE_RATE);
  const loadMs = (1000 * estimatedMemory.weightsBytes) / LOAD_RATE;
  return { memoryBytes, diskBytes, convertMs, loadMs, fits: memoryBytes + SPARE_BYTES <= freeBytes };
}

/** Bits of a weight in the file, all parts of the format counted, and once the engine has converted it. */
const BITS: Record<Quantisation, { readonly file: number; readonly converted: number }> = {
  Q4_0: { file: 4.5, converted: 5 },
  Q8_0: { file: 8.5, converted: 9 },
  // Another rounding to 4 bits would double its error, so it becomes int8.
  Q4_K_M: { file: 4.85, converted: 9 },
};

/** What a model of the catalogue will take once it is downloaded, before anything of it is here. */
export function downloadForecast(model: CatalogueModel, freeBytes: number): Forecast {
  const { file, converted } = BITS[model.quantisation];
  const weightsBytes = Math.round((model.sizeBytes * converted) / file);
  const memoryBytes = weightsBytes + TALK_TOKENS * model.bytesPerToken + RUNTIME_BYTES;
  return { memoryBytes, diskBytes: model.sizeBytes + weightsBytes, fits: memoryBytes + SPARE_BYTES <= freeBytes };
}

/** What a model will take before it is loaded, from the engine's report. All sizes are estimates and said to be. */
import type { ModelReport } from "../../engine/protocol.ts";

/** Tokens a conversation is reckoned with. */
const TALK_TOKENS = 4096;
/** What is left to everything else on the machine. */
const SPARE_BYTES = 1024 ** 3;

export interface Forecast {
  readonly memoryBytes: number;
  /** Written once, when the weights are converted; 0 where that is done or not needed. */
  readonly diskBytes: number;
  readonly fits: boolean;
}

/** What loading takes on a machine with so much free memory; undefined where the report does not say. */
export function forecastOf({ estimatedMemory, conversion }: ModelReport, freeBytes: number): Forecast | undefined {
  if (!estimatedMemory) return undefined;
  const memoryBytes = estimatedMemory.weightsBytes + TALK_TOKENS * estimatedMemory.bytesPerToken;
  const isConverted = conversion === null || conversion.cached;
  const diskBytes = isConverted ? 0 : conversion.targets.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return { memoryBytes, diskBytes, fits: memoryBytes + SPARE_BYTES <= freeBytes };
}

/** A size in the unit that fits it. */
export function sizeText(bytes: number): string {
  return bytes >= 1024 ** 3 ? `${(bytes / 1024 ** 3).toFixed(1)} GB` : `${Math.ceil(bytes / 1024 ** 2)} MB`;
}

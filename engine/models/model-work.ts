/** What goes along with long work on a model: progress and cancellation. */
import { LongsightError } from "../errors.ts";

export interface ModelProgress {
  readonly phase: "reading the model" | "converting its weights" | "checking its weights" | "measuring the rounding";
  /** Megabytes that are read or checked, tensors that are converted or measured. */
  readonly done: number;
  readonly total: number;
}

export interface ModelWork {
  readonly onProgress?: (progress: ModelProgress) => void;
  readonly signal?: AbortSignal;
}

/** Bytes as progress counts them. */
export const megabytes = (bytes: number): number => Math.ceil(bytes / 1e6);

/** Waits for work on a model; where its signal aborted, whatever it fails with becomes the error "cancelled". */
export async function withCancelled<T>(path: string, { signal }: ModelWork, result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (error) {
    if (!signal?.aborted) throw error;
    throw new LongsightError("cancelled", `Reading ${path} was cancelled; start it again when needed.`);
  }
}

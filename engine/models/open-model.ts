/** Opens a model for running: its file, its configuration and its converted weights. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { cacheDir } from "../paths.ts";
import { readConfig } from "./config.ts";
import { contentHash } from "./content-hash.ts";
import { planConversion, type WeightSetting } from "./convert.ts";
import type { ModelFile } from "./files/model-file.ts";
import { openModelFile } from "./files/open.ts";
import { type ModelWork, withCancelled } from "./model-work.ts";
import type { DecoderConfig } from "./types.ts";
import { keepRecent } from "./weight-cache.ts";
import { FORMAT_VERSION } from "./weight-format.ts";
import { readWeights, type StoredWeights } from "./weight-reader.ts";
import { writeWeights } from "./weight-writer.ts";

export interface OpenModelOptions extends ModelWork {
  /** How weights are stored: auto (the default) keeps GGUF's 4- and 8-bit types and small float models exact. */
  readonly weights?: WeightSetting;
}

export interface OpenModel {
  readonly file: ModelFile;
  readonly config: DecoderConfig;
  readonly weights: StoredWeights;
  /** Closes the file and the weights. */
  close(): void;
}

/**
 * Opens a GGUF file or a safetensors folder. The first time, its weights are converted into the cache folder, which
 * `onProgress` and `signal` follow; later the cached weights are verified and used. Throws a LongsightError for
 * whatever is not a model Longsight runs, for a full disk, and (cancelled) when the signal aborts.
 */
export async function openModel(path: string, options: OpenModelOptions = {}): Promise<OpenModel> {
  const file = openModelFile(path);
  try {
    const config = readConfig(file);
    const weights = await withCancelled(path, options, openWeights(file, config, options));
    const close = () => {
      weights.close();
      file.close();
    };
    return { file, config, weights, close };
  } catch (error) {
    file.close();
    throw error;
  }
}

/** Where the converted weights of a model lie once they are made, and what identifies them. Reads the whole model. */
export async function locateWeights(
  file: ModelFile,
  setting: WeightSetting,
  work: ModelWork,
): Promise<{ readonly path: string; readonly fingerprint: string }> {
  const content = await contentHash(file.files, work);
  const fingerprint = createHash("sha256").update(`${content} ${setting} ${FORMAT_VERSION}`).digest("hex");
  return { path: join(cacheDir(), "weights", `${fingerprint}.weights`), fingerprint };
}

async function openWeights(file: ModelFile, config: DecoderConfig, options: OpenModelOptions): Promise<StoredWeights> {
  const setting = options.weights ?? "auto";
  const { path, fingerprint } = await locateWeights(file, setting, options);
  if (existsSync(path)) {
    try {
      const weights = await readWeights(path, fingerprint, options);
      keepRecent(path);
      return weights;
    } catch (error) {
      if (options.signal?.aborted) throw error;
      console.warn(`Converting ${file.path} again: ${(error as Error).message}`);
    }
  }
  await writeWeights(path, file, planConversion(file, config, setting), options);
  keepRecent(path);
  return readWeights(path, fingerprint, options);
}

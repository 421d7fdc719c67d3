/** Opens a model for running: its file, its configuration and its converted weights. */
import { readConfig } from "./config.ts";
import { type Conversion, convertWhole, planConversion, type WeightSetting } from "./convert.ts";
import { damaged } from "./files/byte-file.ts";
import type { ModelFile } from "./files/model-file.ts";
import { openModelFile } from "./files/open.ts";
import type { DecoderConfig, Weights } from "./types.ts";

export interface OpenModelOptions {
  /** How weights are stored: auto (the default) keeps GGUF's 4- and 8-bit types and small float models exact. */
  readonly weights?: WeightSetting;
}

export interface OpenModel {
  readonly file: ModelFile;
  readonly config: DecoderConfig;
  readonly weights: Weights;
  /** Closes the file and the weights. */
  close(): void;
}

/** Opens a GGUF file or a safetensors folder. Throws a LongsightError for whatever is not a model Longsight runs. */
export async function openModel(path: string, options: OpenModelOptions = {}): Promise<OpenModel> {
  const file = openModelFile(path);
  try {
    const config = readConfig(file);
    const weights = openWeights(file, planConversion(file, config, options.weights ?? "auto"));
    return { file, config, weights, close: () => file.close() };
  } catch (error) {
    file.close();
    throw error;
  }
}

function openWeights(file: ModelFile, conversions: readonly Conversion[]): Weights {
  const byName = new Map(conversions.map((conversion) => [conversion.name, conversion]));
  const load = (name: string, isVector: boolean) => {
    const conversion = byName.get(name);
    if (conversion?.isVector !== isVector) throw damaged(file.path, `it has no weight ${name}`);
    return convertWhole(file, conversion);
  };
  return {
    fingerprint: "",
    has: (name) => byName.has(name),
    matrix: (name) => load(name, false),
    vector: (name) => {
      const matrix = load(name, true);
      if (matrix.kind !== "f32") throw new Error(`${name} is not float32`);
      return matrix.data;
    },
    close: () => {},
  };
}

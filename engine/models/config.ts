/** Reads and checks a model's DecoderConfig, from GGUF metadata or from config.json. */
import { LongsightError } from "../errors.ts";
import { configFromGguf } from "./config-gguf.ts";
import { configFromHuggingFace } from "./config-huggingface.ts";
import { damaged } from "./files/byte-file.ts";
import type { ModelFile } from "./files/model-file.ts";
import { clipped } from "./messages.ts";
import { requiredWeights, tensorName } from "./tensor-names.ts";
import type { DecoderConfig } from "./types.ts";

/**
 * The model's configuration, checked against its tensors: every weight is there, with its shape, and there is none
 * whose meaning is unknown. Throws unsupported for other architectures and variants, bad-model for contradictions.
 */
export function readConfig(file: ModelFile): DecoderConfig {
  const config = file.format === "gguf" ? configFromGguf(file) : configFromHuggingFace(file);
  if (config.nHeads % config.nKvHeads !== 0) {
    throw damaged(file.path, `${config.nHeads} query heads do not divide into ${config.nKvHeads} key heads`);
  }
  if (config.headSize % 2 !== 0) throw damaged(file.path, `its head size ${config.headSize} is odd`);
  checkTensors(file, config);
  return config;
}

function checkTensors(file: ModelFile, config: DecoderConfig): void {
  const known = new Set<string>();
  for (const { name, shape } of requiredWeights(config)) {
    const source = tensorName(file.format, name);
    const tensor = file.tensors.get(source);
    if (tensor === undefined) throw damaged(file.path, `tensor ${source} is missing`);
    if (tensor.shape.join() !== shape.join()) {
      throw damaged(file.path, `tensor ${source} has the shape [${tensor.shape}], the settings say [${shape}]`);
    }
    if (tensor.type === "I8") throw damaged(file.path, `tensor ${source} is I8 without scales`);
    known.add(source);
  }
  for (const name of file.tensors.keys()) {
    if (known.has(name) || isRedundant(name, config)) continue;
    throw new LongsightError(
      "unsupported",
      `${file.path} has the tensor ${clipped(name, 100)}, which no ${config.architecture} model that Longsight runs has; choose another model.`,
    );
  }
}

/** Tensors that only repeat what the configuration says. */
function isRedundant(name: string, config: DecoderConfig): boolean {
  if (name === "rope_freqs.weight" || name.endsWith(".rotary_emb.inv_freq")) return true;
  return config.tiedEmbeddings && name === "lm_head.weight";
}

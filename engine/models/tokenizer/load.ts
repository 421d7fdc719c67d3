/** The tokenizer that belongs to an opened model file of either format. */
import type { ModelFile } from "../files/model-file.ts";
import { damaged } from "./fields.ts";
import { loadTokenizerFolder } from "./folder.ts";
import { tokenizerFromGguf } from "./gguf.ts";
import type { ModelTokenizer } from "./tokenizer.ts";

/**
 * Loads a model's tokenizer. Throws not-found or bad-model where there is none, and bad-model where it makes ids that a
 * model of `vocabSize` tokens (where that is known) does not have.
 */
export function loadTokenizer(file: ModelFile, vocabSize?: number): ModelTokenizer {
  const tokenizer = file.format === "gguf" ? tokenizerFromGguf(file.metadata) : loadTokenizerFolder(file.path);
  if (vocabSize !== undefined && tokenizer.vocabSize > vocabSize) {
    throw damaged(`it has ${tokenizer.vocabSize} tokens, the model ${vocabSize}`);
  }
  return tokenizer;
}

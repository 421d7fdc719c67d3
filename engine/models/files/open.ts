/** Opens a model file of either format by its path. */
import { statSync } from "node:fs";
import { fileError } from "../../errors.ts";
import { openGguf } from "./gguf.ts";
import type { ModelFile } from "./model-file.ts";
import { openSafetensors } from "./safetensors.ts";

/** Opens a GGUF file or a safetensors folder; throws a LongsightError for whatever is not a readable model. */
export function openModelFile(path: string): ModelFile {
  let isFolder: boolean;
  try {
    isFolder = statSync(path).isDirectory();
  } catch (error) {
    throw fileError(error, path);
  }
  return isFolder ? openSafetensors(path) : openGguf(path);
}

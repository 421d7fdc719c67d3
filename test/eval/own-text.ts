/** Texts that a model writes itself. */
import type { OpenModel } from "../../engine/models/open-model.ts";
import { Decoder } from "../../engine/runtime/decoder.ts";
import { DecoderReader } from "../../engine/runtime/decoder-reader.ts";
import { generate } from "../../engine/runtime/generate.ts";

/** The ids of a text of `length` tokens, drawn from a model whose texts begin with id 1. */
export async function ownText(model: OpenModel, length: number, seed: number): Promise<number[]> {
  const decoder = await Decoder.open(model, { nThreads: 2, accuracy: "float" });
  const reader = new DecoderReader(decoder, model.config);
  const ids = [1];
  const tokenizer = { stopIds: [], bytes: () => new Uint8Array() };
  // What it has written is read back from the reader's calls.
  const recording = {
    contextLength: reader.contextLength,
    readText: (text: readonly number[]) => {
      ids.splice(0, ids.length, ...text);
      return reader.readText(text);
    },
  };
  await generate(recording, tokenizer, [1], { maxTokens: length, temperature: 0.7, seed });
  await decoder.close();
  return ids;
}

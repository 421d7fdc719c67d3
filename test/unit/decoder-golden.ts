/** Models of the external architectures with golden values: random fixtures, and stories260K, which is trained. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import type { WeightSetting } from "../../engine/models/convert.ts";
import { type OpenModel, openModel } from "../../engine/models/open-model.ts";
import { packageRoot } from "../../engine/paths.ts";
import { Decoder, type DecoderOptions } from "../../engine/runtime/decoder.ts";
import { testData } from "../data.ts";

/** Logits of some positions of one text, computed by the transformers library in float32. */
export interface GoldenLogits {
  readonly ids: readonly number[];
  readonly positions: readonly number[];
  /** [positions.length][vocabSize] */
  readonly logits: readonly (readonly number[])[];
}

const fixtureDir = join(packageRoot, "test", "fixtures", "models");

/** Every architecture, tied and untied, and every rule of scaling rotary positions. */
export const decoderFixtures = [
  ...["llama", "llama-tied", "llama-rope-llama3", "llama-rope-yarn"],
  ...["qwen2", "qwen2-tied", "qwen3", "qwen3-tied"],
].map((name) => ({
  name,
  path: join(fixtureDir, name),
  golden: () => JSON.parse(readFileSync(join(fixtureDir, name, "golden.json"), "utf8")) as GoldenLogits,
}));

/** A prompt, what stories260K greedily makes of it (the prompt included), and the logits behind the prompt. */
export interface GoldenStory {
  readonly prompt: string;
  readonly prompt_ids: readonly number[];
  readonly greedy_ids: readonly number[];
  readonly text: string;
  readonly last_prompt_logits: readonly number[];
}

const stories = testData("models/stories260K");

/** The same trained weights in both formats. */
export const storiesModels = {
  skip: stories.skip,
  paths: [join(stories.path, "stories260K.gguf"), stories.path],
  cases: () => {
    const { cases } = JSON.parse(readFileSync(join(stories.path, "golden.json"), "utf8")) as { cases: GoldenStory[] };
    return cases;
  },
};

/** Opens a model for one test file; its converted weights are deleted when the file's tests have run. */
export async function openForTest(path: string, weights?: WeightSetting): Promise<OpenModel> {
  useOwnCache();
  const model = await openModel(path, { weights });
  after(() => model.close());
  return model;
}

let ownCache: string | undefined;

function useOwnCache(): void {
  if (ownCache !== undefined) return;
  const folder = mkdtempSync(join(tmpdir(), "longsight-models-"));
  ownCache = process.env.LONGSIGHT_CACHE = folder;
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
}

/** A decoder of an open model, closed when the file's tests have run; with float activations by default. */
export async function decoderForTest(model: OpenModel, options: Partial<DecoderOptions> = {}): Promise<Decoder> {
  const decoder = await Decoder.open(model, { nThreads: 1, accuracy: "float", ...options });
  after(() => decoder.close());
  return decoder;
}

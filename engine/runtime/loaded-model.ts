/** A model ready to run, whatever it is made of: the shipped default model, or a user's GGUF file or safetensors folder. */
import { availableParallelism } from "node:os";
import { basename } from "node:path";
import { setImmediate } from "node:timers/promises";
import type { Calibration } from "../attention/calibration.ts";
import { type AttentionPlan, type HeadGates, PLANS, type PlanName } from "../attention/plan.ts";
import { LongsightError } from "../errors.ts";
import { readConfig } from "../models/config.ts";
import { openModelFile } from "../models/files/open.ts";
import { openHybrid } from "../models/hybrid.ts";
import { type HybridConfig, isHybrid } from "../models/hybrid-config.ts";
import type { ModelWork } from "../models/model-work.ts";
import { openModel } from "../models/open-model.ts";
import { loadTokenizerFolder } from "../models/tokenizer/folder.ts";
import { loadTokenizer } from "../models/tokenizer/load.ts";
import type { ModelTokenizer } from "../models/tokenizer/tokenizer.ts";
import type { DecoderConfig, Weights } from "../models/types.ts";
import { defaultModelDir } from "../paths.ts";
import { Decoder } from "./decoder.ts";
import { DecoderMemory, routeLayerOf } from "./decoder-memory.ts";
import { DecoderReader } from "./decoder-reader.ts";
import { measuredGates, probingPlan, tellingPlan } from "./head-gates.ts";
import { HybridDecoder } from "./hybrid.ts";
import { HybridEncoder } from "./hybrid-encoder.ts";
import { HybridReader } from "./hybrid-reader.ts";
import { learnedHeads, withCalibration } from "./learned-heads.ts";
import type { DraftReader } from "./reader.ts";
import { DEFAULT_READING, type Reading, readGates, readReading } from "./reading.ts";
import type { SessionOptions } from "./session.ts";
import { SeveralReaders } from "./several-readers.ts";

export interface LoadedModel {
  /** The model's name as shown to the user. */
  readonly name: string;
  readonly tokenizer: ModelTokenizer;
  readonly reader: DraftReader;
  /** Where the model has memory layers: its weights, and its part that encodes files, opened when first asked for. */
  readonly memory?: MemoryPart;
  /** Of other models: what encodes files, and finds and places blocks. */
  readonly encoder?: DecoderMemory;
  /** How it attends, and how it reads repositories. */
  readonly reading?: Reading;
  /** Identifies its weights. */
  readonly fingerprint?: string;
  /** Whether the model came with learned gates: then none are estimated. */
  readonly hasGates?: boolean;
  /** Of a model loaded for PROBING: how much each head needs far tokens, estimated from reading a text. */
  readonly estimateGates?: (ids: readonly number[]) => Promise<HeadGates>;
  close(): Promise<void>;
}

export interface MemoryPart {
  readonly weights: Weights;
  /** The folder the model was read from. */
  readonly folder: string;
  openEncoder(): Promise<HybridEncoder>;
}

/** More threads than this make one token no faster: decoding is bound by memory. */
const MAX_THREADS = 8;

const options = { nThreads: Math.min(MAX_THREADS, availableParallelism()) };

/**
 * A hybrid of this width is done with a product before a second thread has woken. On two cores, one thread against two
 * (best of many rounds): a prompt's 256 tokens 22 ms against 33, a token 0.6 against 1.6, a file's 256 tokens 11 against
 * 11. Beside other work the gap grows: a run waits for the slower of its threads.
 */
const ONE_THREAD_WIDTH = 256;

/** Texts of the default model that are kept: a few windows, or files between which somebody goes to and fro. */
const MAX_TEXTS = 4;

/** How the default model's sessions are opened. */
export function hybridOptions({ hiddenSize }: Pick<HybridConfig, "hiddenSize">): SessionOptions {
  return hiddenSize <= ONE_THREAD_WIDTH ? { nThreads: 1 } : options;
}

/** The name of the model that ships with the package. */
export const DEFAULT_MODEL = "longsight-default";

/** A model's path with the plan it is to attend by, in place of its own. Errors: bad-input for an unknown plan. */
export function withPlan(path: string, plan: string | undefined): string {
  if (plan === undefined) return path;
  if (plan === PROBING || Object.hasOwn(PLANS, plan)) return `${path}${SEPARATOR}${plan}`;
  const names = Object.keys(PLANS).join(", ");
  throw new LongsightError("bad-input", `There is no attention plan "${plan}"; the plans are ${names}.`);
}

function splitPlan(ref: string): { path: string; plan: PlanName | typeof PROBING | undefined } {
  const [path, plan] = ref.split(SEPARATOR);
  return { path, plan: plan as PlanName | typeof PROBING | undefined };
}

/** Not a plan to answer by: in it every layer tells its queries. */
export const PROBING = "probing";

/** No path holds it. */
const SEPARATOR = "\0";

/**
 * Loads the model at a path, or one of withPlan; without a path the shipped one. Errors: LongsightError for whatever is not a model Longsight runs;
 * cancelled.
 */
export async function loadModel(ref: string | undefined, work: ModelWork = {}): Promise<LoadedModel> {
  if (ref === undefined) return loadHybrid(defaultModelDir, DEFAULT_MODEL);
  const { path, plan } = splitPlan(ref);
  const tokenizer = tokenizerOf(path);
  if (tokenizer === undefined) return loadHybrid(path, basename(path));
  const { file, config, weights, close } = await openModel(path, work);
  try {
    const { fingerprint } = weights;
    const learned = await learnedHeads(file, config, work);
    const gates = learned.gates ?? readGates(fingerprint);
    const found = readReading(fingerprint);
    const own = found && (found.plan !== "split" || gates) ? found : DEFAULT_READING;
    const reading: Reading = plan === undefined || plan === PROBING ? own : { ...own, plan };
    if (reading.plan === "split" && !gates) {
      throw new LongsightError(
        "bad-input",
        "This model's heads have not been looked at yet; run check-model on it first.",
      );
    }
    const attention = plan === PROBING ? probingPlan(config) : planOf(reading.plan, config, gates, learned.calibration);
    const decoder = await Decoder.open({ config, weights }, { ...options, plan: attention });
    const reader = new DecoderReader(decoder, config);
    return {
      name: basename(path).replace(/\.gguf$/i, ""),
      tokenizer,
      reader,
      encoder: new DecoderMemory({ config, weights, plan: attention, decoder, reader, tokenizer }),
      reading,
      fingerprint,
      hasGates: learned.gates !== undefined,
      estimateGates: (ids) => {
        reader.lend({});
        return measuredGates(decoder, config, ids, attention);
      },
      close: async () => {
        await decoder.close();
        close();
      },
    };
  } catch (error) {
    close();
    throw error;
  }
}

/**
 * A preset for a model. In all but the exact one sinks are damped where that was found to be of use; that one tells what it
 * looks at as the others do.
 */
function planOf(name: PlanName, config: DecoderConfig, gates?: HeadGates, calibration?: Calibration): AttentionPlan {
  if (name === "exact") return tellingPlan(config, routeLayerOf(config));
  return withCalibration(PLANS[name](config, gates), calibration);
}

/** A decoder's tokenizer, read before its weights are converted, which may take long; undefined for the hybrid format. */
function tokenizerOf(path: string): ModelTokenizer | undefined {
  const file = openModelFile(path);
  try {
    return isHybrid(file) ? undefined : loadTokenizer(file, readConfig(file).vocabSize);
  } finally {
    file.close();
  }
}

async function loadHybrid(folder: string, name: string): Promise<LoadedModel> {
  const model = openHybrid(folder);
  // Steps of tens of ms: what has come meanwhile goes between them.
  await setImmediate();
  const tokenizer = loadTokenizerFolder(folder);
  await setImmediate();
  const decoder = await HybridDecoder.open(model, hybridOptions(model.config));
  let encoder: Promise<HybridEncoder> | undefined;
  const openEncoder = () => {
    encoder ??= HybridEncoder.open(model, tokenizer, hybridOptions(model.config));
    return encoder;
  };
  return {
    name,
    tokenizer,
    reader: new SeveralReaders(() => new HybridReader(decoder), MAX_TEXTS),
    memory: { weights: model.weights, folder, openEncoder },
    close: async () => {
      await decoder.close();
      await (await encoder)?.close();
    },
  };
}

/**
 * What damping sinks (ACT) is worth to a trained model that goes on with a text whose beginning stands among others, all
 * read one by one; and the search for the heads that profit. The model writes the texts itself.
 */
import { existsSync, writeFileSync } from "node:fs";
import type { Calibration } from "../../engine/attention/calibration.ts";
import { profitingHeads } from "../../engine/attention/head-search.ts";
import { type AttentionPlan, balancedPlan } from "../../engine/attention/plan.ts";
import { LongsightError } from "../../engine/errors.ts";
import { contentHash } from "../../engine/models/content-hash.ts";
import { readJsonFile } from "../../engine/models/files/small-file.ts";
import { type OpenModel, openModel } from "../../engine/models/open-model.ts";
import { loadTokenizer } from "../../engine/models/tokenizer/load.ts";
import type { ModelTokenizer } from "../../engine/models/tokenizer/tokenizer.ts";
import { Decoder, type PlacelessRows } from "../../engine/runtime/decoder.ts";
import { DecoderMemory } from "../../engine/runtime/decoder-memory.ts";
import { DecoderReader } from "../../engine/runtime/decoder-reader.ts";
import { learnedPath } from "../../engine/runtime/learned-heads.ts";
import { type Row, told } from "../bench/rows.ts";
import { ownText } from "./own-text.ts";

const options = { nThreads: 2, accuracy: "float" } as const;

/** Tokens of each other text, of the text's beginning, of what is read behind them in one run, and of what follows it. */
const [OTHER, BEGINNING, QUESTION, REST] = [100, 60, 24, 56];

/** Other texts before each. */
const N_OTHERS = 3;

/** Texts that heads are chosen on, and others that the choice is measured on. */
const [N_CHOOSING, N_HELD_OUT] = [12, 12];

/** The paper's. */
export const CALIBRATION = { keep: 0.4, detect: 5 };

/** One text's placed beginning, and what is read behind it. */
interface Sample {
  readonly placed: { readonly at: 0; readonly nTokens: number; readonly rows: readonly PlacelessRows[] };
  readonly ids: readonly number[];
}

/** The samples of `n` texts, each placed behind others of them. */
async function samplesOf(model: OpenModel, tokenizer: ModelTokenizer, n: number, seed: number): Promise<Sample[]> {
  const { config, weights } = model;
  const length = BEGINNING + QUESTION + REST;
  const texts: number[][] = [];
  for (let i = 0; i < n; i++) texts.push(await ownText(model, length, seed + i));
  const plan = balancedPlan(config);
  const decoder = await Decoder.open(model, { ...options, plan });
  try {
    const reader = new DecoderReader(decoder, config);
    const encoder = new DecoderMemory({ config, weights, plan, decoder, reader, tokenizer });
    const encoded = async (text: readonly number[]) => {
      const rows: PlacelessRows[] = [];
      for await (const part of encoder.encodeParts(text)) {
        for (let at = 0; at < part.nTokens; at += 64) {
          rows.push(encoder.rows(part.stored(at, Math.min(at + 64, part.nTokens)), rows.length === 0));
        }
      }
      return rows;
    };
    const samples: Sample[] = [];
    for (const [i, text] of texts.entries()) {
      const before = Array.from({ length: N_OTHERS }, (_, k) => texts[(i + 1 + k) % n].slice(0, OTHER));
      before.push(text.slice(0, BEGINNING));
      const rows = [];
      for (const one of before) rows.push(...(await encoded(one)));
      const placed = { at: 0 as const, nTokens: before.flat().length, rows };
      samples.push({ placed, ids: text.slice(BEGINNING, length) });
    }
    return samples;
  } finally {
    await decoder.close();
  }
}

interface Losses {
  /** Bits per token of each sample. */
  readonly bits: readonly number[];
  /** Keys damped for each head that damps, in the mean. */
  readonly nDamped: number;
}

async function lossesOf(model: OpenModel, samples: readonly Sample[], calibration?: Calibration): Promise<Losses> {
  const plan: AttentionPlan = { ...balancedPlan(model.config), calibration };
  const decoder = await Decoder.open(model, { ...options, plan });
  const bits: number[] = [];
  const damped: number[] = [];
  try {
    const reader = new DecoderReader(decoder, model.config);
    for (const { ids, placed } of samples) {
      let sum = 0;
      for (let end = QUESTION; end < ids.length; end++) {
        const logits = await reader.readText(ids.slice(0, end), { placed });
        const max = logits.reduce((a, b) => Math.max(a, b));
        const total = logits.reduce((all, logit) => all + Math.exp(logit - max), 0);
        sum -= (logits[ids[end]] - max - Math.log(total)) / Math.LN2;
      }
      bits.push(sum / (ids.length - QUESTION));
      for (const [layer, heads] of (calibration?.heads ?? []).entries()) {
        for (const head of heads) damped.push(decoder.dampedBy(layer, head).length);
      }
    }
  } finally {
    await decoder.close();
  }
  return { bits, nDamped: damped.reduce((a, b) => a + b, 0) / Math.max(damped.length, 1) };
}

/** The key/value heads of every layer. */
const allHeads = ({ config }: OpenModel) =>
  Array.from({ length: config.nLayers }, () => [...Array(config.nKvHeads).keys()]);

/** The heads that profit on texts of the model's own. */
async function search(model: OpenModel, tokenizer: ModelTokenizer, how: Omit<Calibration, "heads">) {
  const samples = await samplesOf(model, tokenizer, N_CHOOSING, 100);
  return await profitingHeads(
    allHeads(model),
    async (heads) => (await lossesOf(model, samples, { ...how, heads })).bits,
  );
}

/** Rows; `path` is the folder of stories260K. */
export async function evaluateCalibration(path: string): Promise<Row[]> {
  const model = await openModel(path);
  try {
    const tokenizer = loadTokenizer(model.file, model.config.vocabSize);
    const samples = await samplesOf(model, tokenizer, N_HELD_OUT, 1000);
    const mean = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0) / numbers.length;
    const without = mean((await lossesOf(model, samples)).bits);
    const rows: Row[] = [];
    const add = async (what: string, calibration: Calibration) => {
      const { bits, nDamped } = await lossesOf(model, samples, calibration);
      rows.push(told(`ACT: bits per token that it takes off, ${what} (stories260K)`, without - mean(bits), "bits"));
      return nDamped;
    };
    const { keep, detect } = CALIBRATION;
    for (const [name, how] of [
      ["texts' first tokens", { keep }],
      ["these and sinks that were found", { keep, detect }],
    ] as const) {
      const nDamped = await add(`${name} damped in all heads`, { ...how, heads: allHeads(model) });
      rows.push(told(`ACT: keys damped for each head, ${name} (stories260K)`, nDamped, ""));
      const heads = await search(model, tokenizer, how);
      const nHeads = heads.flat().length;
      rows.push(told(`ACT: heads that profit on other texts, ${name} damped (stories260K)`, nHeads, ""));
      if (nHeads > 0) await add(`${name} damped in those heads`, { ...how, heads });
    }
    return rows;
  } finally {
    model.close();
  }
}

/** Searches for the heads of a model that profit, and writes them beside it, where the engine finds them. */
export async function calibrate(path: string): Promise<{ readonly beside: string; readonly calibration: Calibration }> {
  const model = await openModel(path);
  try {
    const tokenizer = loadTokenizer(model.file, model.config.vocabSize);
    const calibration = { ...CALIBRATION, heads: await search(model, tokenizer, CALIBRATION) };
    const hash = await contentHash(model.file.files);
    const beside = learnedPath(model.file);
    const known = existsSync(beside) ? readJsonFile(beside) : { model: hash };
    if (known.model !== hash) {
      throw new LongsightError("bad-input", `${beside} belongs to other weights; move it away first.`);
    }
    writeFileSync(beside, `${JSON.stringify({ ...known, calibration })}\n`);
    return { beside, calibration };
  } finally {
    model.close();
  }
}

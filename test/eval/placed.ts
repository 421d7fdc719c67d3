/**
 * What it costs a trained model to read text as blocks that were encoded one by one: stories260K goes on with a story
 * whose beginning stands among other stories, as one text and as blocks.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { rankedGates } from "../../engine/attention/gates.ts";
import { type AttentionPlan, balancedPlan, type HeadGates } from "../../engine/attention/plan.ts";
import { type OpenModel, openModel } from "../../engine/models/open-model.ts";
import { loadTokenizerFolder } from "../../engine/models/tokenizer/folder.ts";
import type { PlacelessRows } from "../../engine/runtime/decoder.ts";
import { Decoder } from "../../engine/runtime/decoder.ts";
import { DecoderMemory } from "../../engine/runtime/decoder-memory.ts";
import { DecoderReader } from "../../engine/runtime/decoder-reader.ts";
import { estimateGates } from "../../engine/runtime/head-gates.ts";
import type { PlacedMemory } from "../../engine/runtime/reader.ts";
import { atMost, type Row, told } from "../bench/rows.ts";
import { storiesGates } from "./attention.ts";
import { evaluateCalibration } from "./calibration.ts";

const options = { nThreads: 2, accuracy: "float" } as const;

/** Tokens of each other story, of the story's beginning, and of what follows. */
const [OTHER, BEGINNING, REST] = [128, 100, 100];

/** What streaming heads see of a context of 512 tokens. */
const SPAN = { sinks: 4, window: 64 };

interface Golden {
  readonly cases: readonly { readonly greedy_ids: readonly number[] }[];
}

/** Rows; `path` is the model's folder. */
export async function evaluatePlaced(path: string): Promise<Row[]> {
  const { cases } = JSON.parse(readFileSync(join(path, "golden.json"), "utf8")) as Golden;
  const stories = cases.map(({ greedy_ids }) => greedy_ids);
  const model = await openModel(path);
  try {
    const gates = await estimateGates(model, stories.flat().slice(0, 500), { ...options, ...SPAN });
    const plan = balancedPlan(model.config);
    const whole = await bitsOf(model, path, stories, plan);
    const split = async (some: HeadGates) =>
      (await bitsOf(model, path, stories, { ...balancedPlan(model.config, some), ...SPAN })).placed - whole.packed;
    const name = "stories260K, text among others";
    return [
      told(`${name}: bits per token without it`, whole.none, "bits"),
      told(`${name}: bits per token as one text`, whole.packed, "bits"),
      atMost(`${name}: bits per token that blocks cost`, whole.placed - whole.packed, "bits", 0.05),
      atMost(`${name}: the same with half of the heads streaming, estimated gates`, await split(gates), "bits", 0.05),
      atMost(`${name}: the same, learned gates`, await split(rankedGates(storiesGates())), "bits", 0.05),
      ...(await evaluateCalibration(path)),
    ];
  } finally {
    model.close();
  }
}

/** The mean bits for each token of the stories' rest, without what stands before, as one text, and as blocks. */
async function bitsOf(model: OpenModel, path: string, stories: readonly (readonly number[])[], plan: AttentionPlan) {
  const { config, weights } = model;
  const decoder = await Decoder.open(model, { ...options, plan });
  try {
    const reader = new DecoderReader(decoder, config);
    const tokenizer = loadTokenizerFolder(path);
    const encoder = new DecoderMemory({ config, weights, plan, decoder, reader, tokenizer });
    const sums = { none: 0, packed: 0, placed: 0 };
    for (const [i, story] of stories.entries()) {
      const texts = stories.flatMap((other, j) => (j === i ? [] : [other.slice(0, OTHER)]));
      texts.push(story.slice(0, BEGINNING));
      const rest = story.slice(BEGINNING, BEGINNING + REST);
      const before = texts.flat();
      const rows: PlacelessRows[] = [];
      for (const text of texts) {
        let first = true;
        for await (const part of encoder.encodeParts(text)) {
          for (let at = 0; at < part.nTokens; at += 64) {
            const isStart = first && at === 0;
            rows.push(encoder.rows(part.stored(at, Math.min(at + 64, part.nTokens)), isStart));
          }
          first = false;
        }
      }
      sums.none += await bits(reader, rest, 0);
      sums.packed += await bits(reader, [...before, ...rest], before.length);
      sums.placed += await bits(reader, rest, 0, { at: 0, nTokens: before.length, rows });
    }
    const n = stories.length * (REST - 1);
    return { none: sums.none / n, packed: sums.packed / n, placed: sums.placed / n };
  } finally {
    await decoder.close();
  }
}

/** The bits of the ids behind the one with the index `first`, read token by token. */
async function bits(reader: DecoderReader, ids: readonly number[], first: number, placed?: PlacedMemory) {
  let sum = 0;
  for (let end = first + 1; end < ids.length; end++) {
    const logits = await reader.readText(ids.slice(0, end), { placed });
    const max = logits.reduce((a, b) => Math.max(a, b));
    const total = logits.reduce((all, logit) => all + Math.exp(logit - max), 0);
    sum -= (logits[ids[end]] - max - Math.log(total)) / Math.LN2;
  }
  return sum;
}

/**
 * Finds out how a user's model reads repositories best on this machine: facts are hidden in made-up source files, and the
 * model has to tell them from others, with the files as text in front of the question and with the same files as blocks
 * that were encoded one by one, under each attention plan. What answers more is better; of equals, what answers sooner.
 */
import { LongsightError } from "../errors.ts";
import type { PlacelessRows } from "../runtime/decoder.ts";
import type { DecoderMemory } from "../runtime/decoder-memory.ts";
import type { StoredTokens } from "../runtime/hybrid-memory.ts";
import type { LoadedModel } from "../runtime/loaded-model.ts";
import type { ReadTextOptions, TextReader } from "../runtime/reader.ts";
import type { Way } from "../runtime/reading.ts";
import { type CheckQuestion, madeUpFiles } from "./check-files.ts";

export interface Score {
  readonly right: number;
  readonly total: number;
}

/** One way of reading under one plan. */
export interface CheckRow {
  readonly way: Way;
  readonly plan: string;
  /** Facts that stand in one file. */
  readonly needles: Score;
  /** Facts that take two files to find. */
  readonly crossFile: Score;
  /** From a question to the first word of its answer. */
  readonly firstTokenMs: number;
  /** Each further word. */
  readonly tokenMs: number;
  /** All memory of this process behind it. */
  readonly rssBytes: number;
}

export interface CheckOptions {
  readonly signal?: AbortSignal;
  /** Called before each question, of so many. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** Tokens of the files: as many as an answer has before it. */
const FILES_TOKENS = 3072;
/** Of a small model's context; the rest is for questions. */
const FILES_SHARE = 0.75;

/** A text that is several times longer than what streaming heads see, to tell the heads apart by. */
const MIN_GATE_TOKENS = 1024;

/**
 * How much each head of a model loaded for probing needs far tokens; undefined where its context is too short to tell.
 */
export async function gatesOf({ encoder, reader, tokenizer, estimateGates }: LoadedModel) {
  if (!encoder || !estimateGates) return undefined;
  const { files } = madeUpFiles(roomOf(reader), (text) => tokenizer.encode(text).length);
  const ids = files.flatMap(({ path, text }) => encoder.fileIds(path, text)).slice(0, roomOf(reader));
  return ids.length < MIN_GATE_TOKENS ? undefined : estimateGates(ids);
}

const roomOf = ({ contextLength }: TextReader) => Math.min(FILES_TOKENS, Math.floor(FILES_SHARE * contextLength));

/** Runs the check on a loaded model. Errors: unsupported for models without plans, cancelled. */
export async function checkReading(model: LoadedModel, options: CheckOptions = {}): Promise<CheckRow[]> {
  const { encoder, reader, tokenizer, reading } = model;
  if (!encoder || !reading) {
    throw new LongsightError(
      "unsupported",
      "The shipped model reads repositories as it was trained to; check another.",
    );
  }
  const { files, questions } = madeUpFiles(roomOf(reader), (text) => tokenizer.encode(text).length);
  const texts = files.map(({ path, text }) => encoder.fileIds(path, text));
  const stored = await encode(encoder, texts, options.signal);
  const nTokens = texts.reduce((sum, ids) => sum + ids.length, 0);
  const rows: CheckRow[] = [];
  for (const way of ["packed", "memory"] as const) {
    // In memory each file begins as a text of its own does; as one text only the first.
    const first = tokenizer.encode("", { bos: true }).length;
    const packed = way === "packed" ? texts.flatMap((ids, i) => (i === 0 ? ids : ids.slice(first))) : [];
    const placed = way === "memory" ? { at: 0, nTokens, rows: [] as PlacelessRows[] } : undefined;
    const read = (ids: readonly number[], more: ReadTextOptions) =>
      reader.readText([...packed, ...ids], { placed, ...more });
    const asked: TextReader = { contextLength: reader.contextLength, readText: read };
    const scores = { needle: { right: 0, total: 0 }, crossFile: { right: 0, total: 0 } };
    const times: { first: number; each: number }[] = [];
    // What was read before must not make the first question quick.
    await reader.readText(tokenizer.encode("a", { bos: true }), { signal: options.signal });
    const startMs = performance.now();
    if (placed) {
      await encoder.query(tokenizer.encode(questions[0].prompt, { bos: true }), options.signal);
      placed.rows.push(...stored.flatMap((blocks) => blocks.map((block, i) => encoder.rows(block, i === 0))));
    }
    const choiceMs = performance.now() - startMs;
    for (const [i, question] of questions.entries()) {
      options.onProgress?.(rows.length * questions.length + i, 2 * questions.length);
      const { isRight, firstMs, tokenMs } = await askOne(asked, model, question, options.signal);
      const score = scores[question.kind];
      score.total++;
      if (isRight) score.right++;
      times.push({ first: firstMs, each: tokenMs });
    }
    const each = times.map((time) => time.each).sort((a, b) => a - b);
    rows.push({
      ...{ way, plan: reading.plan, needles: scores.needle, crossFile: scores.crossFile },
      // Later questions find the files read already.
      ...{ firstTokenMs: choiceMs + times[0].first, tokenMs: each[Math.floor(each.length / 2)] },
      rssBytes: process.memoryUsage.rss(),
    });
  }
  return rows;
}

/**
 * The best of what was checked; undefined where nothing does clearly better than guessing, so that nothing speaks for
 * leaving anything out.
 */
export function bestReading(rows: readonly CheckRow[]): CheckRow | undefined {
  const right = ({ needles, crossFile }: CheckRow) => needles.right + crossFile.right;
  const answerMs = ({ firstTokenMs, tokenMs }: CheckRow) => firstTokenMs + ANSWER_TOKENS * tokenMs;
  const [best] = rows.toSorted((a, b) => right(b) - right(a) || answerMs(a) - answerMs(b));
  const total = best.needles.total + best.crossFile.total;
  return right(best) >= GUESSED * (total / CANDIDATES) ? best : undefined;
}

/** A short answer. */
const ANSWER_TOKENS = 64;
/** Facts that a question chooses from. */
export const CANDIDATES = 8;
/** So many times what guessing gets right is more than luck. */
const GUESSED = 3;

/** The files as they are stored. */
async function encode(encoder: DecoderMemory, texts: readonly (readonly number[])[], signal: AbortSignal | undefined) {
  const { blockSize } = encoder.shape;
  const stored: StoredTokens[][] = [];
  for (const ids of texts) {
    const blocks: StoredTokens[] = [];
    for await (const part of encoder.encodeParts(ids, { signal })) {
      for (let start = 0; start < part.nTokens; start += blockSize) {
        blocks.push(part.stored(start, Math.min(start + blockSize, part.nTokens)));
      }
    }
    stored.push(blocks);
  }
  return stored;
}

/** Whether the right answer is the likeliest of the candidates. Each is read token by token, as answers are written. */
async function askOne(
  reader: TextReader,
  { tokenizer }: LoadedModel,
  { prompt, answers }: CheckQuestion,
  signal: AbortSignal | undefined,
) {
  const ids = tokenizer.encode(prompt, { continues: true });
  const startMs = performance.now();
  const first = Float32Array.from(await reader.readText(ids, { signal }));
  const firstMs = performance.now() - startMs;
  const likelihoods: number[] = [];
  let [nTokens, ms] = [0, 0];
  for (const answer of answers) {
    const text = [...ids];
    let likelihood = 0;
    let logits: Float32Array = first;
    const answerIds = tokenizer.encode(`${answer}`, { continues: true });
    for (const [i, id] of answerIds.entries()) {
      likelihood += logProbability(logits, id);
      text.push(id);
      if (i === answerIds.length - 1) break;
      const tokenStartMs = performance.now();
      logits = await reader.readText(text, { signal });
      ms += performance.now() - tokenStartMs;
      nTokens++;
    }
    likelihoods.push(likelihood);
  }
  const isRight = likelihoods.every((likelihood, i) => i === 0 || likelihood < likelihoods[0]);
  return { isRight, firstMs, tokenMs: nTokens > 0 ? ms / nTokens : firstMs };
}

function logProbability(logits: Float32Array, id: number): number {
  const max = logits.reduce((a, b) => Math.max(a, b));
  return logits[id] - max - Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - max), 0));
}

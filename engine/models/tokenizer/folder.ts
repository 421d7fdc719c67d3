/** The tokenizer of a model folder: tokenizer.json, vocab.json with merges.txt, or a SentencePiece *.model file. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileError, LongsightError } from "../../errors.ts";
import { readJsonFile, readSmallFile } from "../files/small-file.ts";
import { shown } from "../messages.ts";
import { type Fields, optionalBoolean, string, unsupported } from "./fields.ts";
import { type TokenizerSettings, tokenizerFromJson } from "./huggingface.ts";
import { tokenizerFromSentencePiece } from "./sentencepiece.ts";
import { QWEN2 } from "./split.ts";
import type { ModelTokenizer } from "./tokenizer.ts";

/** Loads a folder's tokenizer; throws not-found where there is none, bad-model or unsupported as its parts do. */
export function loadTokenizerFolder(dir: string): ModelTokenizer {
  const config = optionalJson(join(dir, "tokenizer_config.json"));
  const settings = readSettings(dir, config);
  const path = join(dir, "tokenizer.json");
  if (existsSync(path)) return tokenizerFromJson(readJsonFile(path), settings);
  if (existsSync(join(dir, "vocab.json")) && existsSync(join(dir, "merges.txt"))) {
    return tokenizerFromJson(fromVocabAndMerges(dir, config), settings);
  }
  const sentencePiece = sentencePieceFile(dir);
  if (sentencePiece) return tokenizerFromSentencePiece(readSmallFile(join(dir, sentencePiece)), settings.chatTemplate);
  throw new LongsightError(
    "not-found",
    `${dir} has no tokenizer; put tokenizer.json, vocab.json and merges.txt, or tokenizer.model beside the model.`,
  );
}

/** vocab.json and merges.txt as the tokenizer.json that the named class of tokenizer stands for. */
function fromVocabAndMerges(dir: string, config: Fields): Fields {
  const isQwen = ["Qwen2Tokenizer", "Qwen2TokenizerFast"].some((name) => name === config.tokenizer_class);
  const isGpt2 = ["GPT2Tokenizer", "GPT2TokenizerFast"].some((name) => name === config.tokenizer_class);
  if (!isQwen && !isGpt2) throw unsupported(`the class ${shown(config.tokenizer_class)} without tokenizer.json`);
  const merges = readText(join(dir, "merges.txt"))
    .split(/\r?\n/)
    .filter((line) => line !== "" && !line.startsWith("#version"));
  const decoderEntries = Object.entries((config.added_tokens_decoder ?? {}) as Fields);
  return {
    model: { type: "BPE", vocab: readJsonFile(join(dir, "vocab.json")), merges },
    normalizer: isQwen ? { type: "NFC" } : null,
    pre_tokenizer: isQwen
      ? QWEN2_PRE_TOKENIZER
      : { type: "ByteLevel", add_prefix_space: config.add_prefix_space === true },
    added_tokens: decoderEntries.map(([id, token]) => ({ ...(token as Fields), id: Number(id) })),
  };
}

const QWEN2_PRE_TOKENIZER = {
  type: "Sequence",
  pretokenizers: [
    { type: "Split", pattern: { Regex: QWEN2.source }, behavior: "Isolated" },
    { type: "ByteLevel", add_prefix_space: false, use_regex: false },
  ],
};

function readSettings(dir: string, config: Fields): TokenizerSettings {
  const generation = optionalJson(join(dir, "generation_config.json"));
  const stops = generation.eos_token_id;
  return {
    bosToken: tokenText(config.bos_token),
    eosToken: tokenText(config.eos_token),
    addBosToken: optionalBoolean(config.add_bos_token, "add_bos_token"),
    stopIds: (Array.isArray(stops) ? stops : [stops]).filter((id) => Number.isInteger(id) && id >= 0),
    chatTemplate: chatTemplate(dir, config.chat_template),
  };
}

/** A special token of tokenizer_config.json: its text, or an object that holds it. */
function tokenText(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  const content = (value as { content?: unknown } | null | undefined)?.content;
  return typeof content === "string" ? content : undefined;
}

/** The chat template: a file of its own, a text, or the one named "default" of several. */
function chatTemplate(dir: string, value: unknown): string | undefined {
  const path = join(dir, "chat_template.jinja");
  if (existsSync(path)) return readText(path);
  if (!Array.isArray(value))
    return value === undefined || value === null ? undefined : string(value, "the chat template");
  const named = value.find((entry: unknown) => (entry as { name?: unknown } | null)?.name === "default");
  return named === undefined ? undefined : string((named as Fields).template, "the chat template");
}

function optionalJson(path: string): Fields {
  return existsSync(path) ? readJsonFile(path) : {};
}

/** tokenizer.model, or the only file whose name ends so. */
function sentencePieceFile(dir: string): string | undefined {
  const names = filesOf(dir).filter((name) => name.endsWith(".model"));
  return names.length === 1 ? names[0] : names.find((name) => name === "tokenizer.model");
}

function filesOf(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch (error) {
    throw fileError(error, dir);
  }
}

function readText(path: string): string {
  return new TextDecoder().decode(readSmallFile(path));
}

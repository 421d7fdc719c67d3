/** Fill-in-the-middle prompts of the model families. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fillInTheMiddle } from "../../../engine/models/fim.ts";
import { tokenizerFromGguf } from "../../../engine/models/tokenizer/gguf.ts";
import { tokenizerFromJson } from "../../../engine/models/tokenizer/huggingface.ts";
import type { ModelTokenizer } from "../../../engine/models/tokenizer/tokenizer.ts";
import { byteLevelJson, sentencePieceValues } from "./tokenizer/small.ts";
import { skip, tokenizerOf } from "./tokenizer/sources.ts";

/** The byte-level tokenizer with these control tokens. */
function withControls(...contents: string[]): ModelTokenizer {
  const json = byteLevelJson();
  const firstId = Object.keys(json.model.vocab).length;
  json.added_tokens = contents.map((content, i) => ({ id: firstId + i, content, special: false }));
  return tokenizerFromJson(json);
}
const texts = (tokenizer: ModelTokenizer, ids: readonly number[]) => ids.map((id) => tokenizer.token(id));
const CONTEXT = { prefix: "hell", suffix: "aa", path: "a" };

test("Qwen: prefix first, the file's marks end the middle", () => {
  const tokenizer = withControls("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|file_sep|>");
  const fim = fillInTheMiddle(tokenizer);
  assert.deepEqual(texts(tokenizer, fim?.prompt(CONTEXT) ?? []), [
    "<|fim_prefix|>",
    "hell",
    "<|fim_suffix|>",
    "aa",
    "<|fim_middle|>",
  ]);
  assert.ok(texts(tokenizer, fim?.stopIds ?? []).includes("<|file_sep|>"));
});

test("Longsight: suffix first and cut, the path before it", () => {
  const tokenizer = withControls("<|file|>", "<|suf|>", "<|pre|>", "<|eot|>");
  const fim = fillInTheMiddle(tokenizer);
  assert.deepEqual(texts(tokenizer, fim?.prompt(CONTEXT) ?? []), [
    "<|file|>",
    "a",
    "<|suf|>",
    "aa",
    "<|pre|>",
    "Ċ",
    "hell",
  ]);
  assert.deepEqual(texts(tokenizer, fim?.stopIds ?? []).sort(), ["<|eot|>", "<|file|>"]);
  assert.equal(fim?.prompt({ prefix: "", suffix: "b".repeat(1000) }).length, 3 + 1 + 128);
});

test("CodeLlama: the suffix follows without a space", () => {
  const values = sentencePieceValues();
  for (const token of ["▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>"]) {
    (values.get("tokenizer.ggml.tokens") as string[]).push(token);
    (values.get("tokenizer.ggml.token_type") as number[]).push(1);
    (values.get("tokenizer.ggml.scores") as number[]).push(0);
  }
  const tokenizer = tokenizerFromGguf(values);
  const fim = fillInTheMiddle(tokenizer);
  const ids = fim?.prompt({ prefix: "ab", suffix: "ab" }) ?? [];
  assert.deepEqual(texts(tokenizer, ids), ["<s>", "▁<PRE>", "▁ab", "▁<SUF>", "ab", "▁<MID>"]);
  assert.ok(texts(tokenizer, fim?.stopIds ?? []).includes("▁<EOT>"));
});

test("published vocabularies: DeepSeek-Coder, StarCoder, and one that cannot", { skip }, async () => {
  const deepseek = await tokenizerOf("deepseek-coder");
  const ids = fillInTheMiddle(deepseek)?.prompt({ prefix: [1, 2], suffix: [3] });
  assert.deepEqual(ids, [32013, 32016, 1, 2, 32015, 3, 32017]);
  const starcoder = await tokenizerOf("starcoder");
  assert.deepEqual(fillInTheMiddle(starcoder)?.prompt({ prefix: [100], suffix: [] }), [1, 100, 3, 2]);
  assert.equal(fillInTheMiddle(await tokenizerOf("gpt-2")), undefined);
});

test("text around the cursor that spells a marker stays text", () => {
  const tokenizer = withControls("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>");
  const ids = fillInTheMiddle(tokenizer)?.prompt({ prefix: "<|fim_middle|>", suffix: "" }) ?? [];
  assert.equal(ids.filter((id) => id === tokenizer.id("<|fim_middle|>")).length, 1);
});

/** Where tokenizers come from, and what is said of those that cannot be used. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { openModelFile } from "../../../../engine/models/files/open.ts";
import { loadTokenizerFolder } from "../../../../engine/models/tokenizer/folder.ts";
import { tokenizerFromGguf } from "../../../../engine/models/tokenizer/gguf.ts";
import { tokenizerFromJson } from "../../../../engine/models/tokenizer/huggingface.ts";
import { testData } from "../../../data.ts";
import { byteLevelJson, sentencePieceValues } from "./small.ts";
import { ggufValues, type NAMES, skip, tokenizerOf } from "./sources.ts";

const scratch = mkdtempSync(join(tmpdir(), "longsight-tokenizer-"));
after(() => rmSync(scratch, { recursive: true }));

/** A folder with these files. */
function folder(files: Record<string, unknown>): string {
  const dir = mkdtempSync(join(scratch, "model-"));
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(dir, name), typeof content === "string" ? content : JSON.stringify(content));
  }
  return dir;
}

test("a folder with tokenizer.json takes its settings from the files beside it", () => {
  const dir = folder({
    "tokenizer.json": byteLevelJson(),
    "tokenizer_config.json": {
      bos_token: { content: "<|im_start|>" },
      eos_token: "<|endoftext|>",
      add_bos_token: true,
      chat_template: [{ name: "default", template: "{{ messages }}" }],
    },
    "generation_config.json": { eos_token_id: [5] },
  });
  const tokenizer = loadTokenizerFolder(dir);
  assert.equal(tokenizer.bosId, tokenizer.id("<|im_start|>"));
  assert.deepEqual(tokenizer.encode("", { bos: true }), [tokenizer.bosId]);
  assert.equal(tokenizer.token(tokenizer.eosId as number), "<|endoftext|>");
  assert.deepEqual(tokenizer.stopIds, [5, tokenizer.eosId]);
  assert.equal(tokenizer.chatTemplate, "{{ messages }}");
  writeFileSync(join(dir, "chat_template.jinja"), "of its own");
  assert.equal(loadTokenizerFolder(dir).chatTemplate, "of its own");
});

test("vocab.json and merges.txt give the same tokenizer as tokenizer.json", () => {
  const json = byteLevelJson();
  const dir = folder({
    "vocab.json": json.model.vocab,
    "merges.txt": `#version: 0.2\n${json.model.merges.join("\n")}\n`,
    "tokenizer_config.json": { tokenizer_class: "GPT2Tokenizer" },
  });
  const text = "hello  world,\n\n hello é😀 aaaa";
  assert.deepEqual(loadTokenizerFolder(dir).encode(text), tokenizerFromJson(json).encode(text));
});

test("a folder without a usable tokenizer is told what is missing", () => {
  assert.throws(() => loadTokenizerFolder(folder({})), { code: "not-found", message: /tokenizer\.json/ });
  assert.throws(() => loadTokenizerFolder(join(scratch, "nowhere")), { code: "not-found", message: /does not exist/ });
  assert.throws(() => loadTokenizerFolder(folder({ "vocab.json": {}, "merges.txt": "" })), { code: "unsupported" });
  assert.throws(() => loadTokenizerFolder(folder({ "tokenizer.json": "{" })), { code: "bad-model" });
  assert.throws(() => loadTokenizerFolder(folder({ "tokenizer.json": "{}" })), { code: "bad-model" });
});

const stories = testData("models/stories260K");
test("a trained model's GGUF file and SentencePiece file give the published ids", { skip: stories.skip }, () => {
  const golden = JSON.parse(readFileSync(join(stories.path, "golden.json"), "utf8"));
  const file = openModelFile(join(stories.path, "stories260K.gguf"));
  for (const tokenizer of [tokenizerFromGguf(file.metadata), loadTokenizerFolder(stories.path)]) {
    for (const { prompt, prompt_ids } of golden.cases) {
      assert.deepEqual(tokenizer.encode(prompt, { bos: true }), prompt_ids);
      assert.equal(tokenizer.decode(prompt_ids), prompt);
    }
    assert.deepEqual(tokenizer.stopIds, [2]);
  }
  file.close();
  const damagedFile = folder({ "tokenizer.model": "no protocol buffer" });
  assert.throws(() => loadTokenizerFolder(damagedFile), { code: "bad-model", message: /SentencePiece/ });
});

test("kinds of tokenizers that are not supported are named", () => {
  const json = byteLevelJson();
  const changed = (changes: object) => () => tokenizerFromJson({ ...json, ...changes });
  assert.throws(changed({ model: { ...json.model, type: "Unigram" } }), { code: "unsupported", message: /Unigram/ });
  assert.throws(changed({ normalizer: { type: "StripAccents" } }), { code: "unsupported", message: /StripAccents/ });
  assert.throws(changed({ decoder: { type: "WordPiece" } }), { code: "unsupported", message: /WordPiece/ });
  assert.throws(changed({ pre_tokenizer: null }), { code: "unsupported", message: /alphabet/ });
  const gguf = (key: string, value: unknown) => () => tokenizerFromGguf(sentencePieceValues().set(key, value));
  assert.throws(gguf("tokenizer.ggml.model", "bert"), { code: "unsupported", message: /bert/ });
  assert.throws(gguf("tokenizer.ggml.model", "gpt2"), { code: "unsupported", message: /pre-tokeniser/ });
});

test("absurd vocabularies are refused", () => {
  const gguf = (key: string, value: unknown) => () => tokenizerFromGguf(sentencePieceValues().set(key, value));
  const refused = { name: "LongsightError", code: "bad-model" };
  assert.throws(() => tokenizerFromGguf(new Map()), { ...refused, message: /no tokenizer/ });
  assert.throws(gguf("tokenizer.ggml.tokens", []), refused);
  assert.throws(gguf("tokenizer.ggml.tokens", ["a"]), { ...refused, message: /entries for 1 tokens/ });
  assert.throws(gguf("tokenizer.ggml.scores", undefined), refused);
  assert.throws(gguf("tokenizer.ggml.bos_token_id", 4096), { ...refused, message: /4096/ });
  assert.throws(gguf("tokenizer.ggml.add_bos_token", 1), refused);
  assert.throws(gguf("tokenizer.chat_template", 7), refused);
  const json = byteLevelJson();
  const vocabulary =
    (vocab: object, merges: unknown[] = []) =>
    () =>
      tokenizerFromJson({ ...json, model: { ...json.model, vocab, merges } });
  assert.throws(vocabulary({ a: 0, b: 4_000_000 }), { ...refused, message: /4000000/ });
  assert.throws(vocabulary({ a: 0, b: 0 }), { ...refused, message: /same id/ });
  assert.throws(vocabulary({ a: -1 }), refused);
  assert.throws(vocabulary({ a: 0, b: 1 }, ["a b"]), { ...refused, message: /merge/ });
  assert.throws(vocabulary({}), refused);
});

test("a chat model's template comes with its GGUF file", { skip }, async () => {
  assert.match((await tokenizerOf("phi-3")).chatTemplate ?? "", /<\|assistant\|>/);
  assert.equal((await tokenizerOf("gpt-2")).chatTemplate, undefined);
});

test("special tokens of the published vocabularies", { skip }, async () => {
  const stops = async (name: (typeof NAMES)[number]) => {
    const tokenizer = await tokenizerOf(name);
    return tokenizer.stopIds.map((id) => tokenizer.token(id));
  };
  assert.deepEqual(await stops("phi-3"), ["<|endoftext|>", "<|end|>"]);
  assert.deepEqual(await stops("qwen2"), ["<|endoftext|>", "<|im_end|>"]);
  assert.deepEqual(await stops("deepseek-coder"), ["<｜end▁of▁sentence｜>", "<|EOT|>"]);
  const phi = await tokenizerOf("phi-3");
  assert.deepEqual(phi.encode("<|user|>\n Hi<|end|>\n", { special: true }), [32010, ...phi.encode("Hi"), 32007]);
  const deepseek = await tokenizerOf("deepseek-coder");
  assert.deepEqual(deepseek.encode("", { bos: true }), [32013]);
  assert.equal(deepseek.bytes(32015).length, 0); // marked as ordinary in the file
});

test("Qwen's architectures need not name their pre-tokeniser", { skip }, async () => {
  const values = await ggufValues("gpt-2");
  values.delete("tokenizer.ggml.pre");
  assert.throws(() => tokenizerFromGguf(values), { code: "unsupported" });
  const tokenizer = tokenizerFromGguf(values.set("general.architecture", "qwen2"));
  assert.deepEqual(tokenizer.encode("12").length, 2);
});

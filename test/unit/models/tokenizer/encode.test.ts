/** Special tokens, beginnings, stops and spaces, on made-up vocabularies. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { tokenizerFromGguf } from "../../../../engine/models/tokenizer/gguf.ts";
import { tokenizerFromJson } from "../../../../engine/models/tokenizer/huggingface.ts";
import { byteLevelJson, sentencePieceValues } from "./small.ts";

const bytes = tokenizerFromJson(byteLevelJson(), { bosToken: "<|endoftext|>", addBosToken: true });
const pieces = tokenizerFromGguf(sentencePieceValues());
const texts = (ids: readonly number[], tokenizer = pieces): string[] => ids.map((id) => tokenizer.token(id));

test("control tokens are recognised only on request, user tokens always", () => {
  const text = "hello<|endoftext|><think>";
  assert.deepEqual(texts(bytes.encode(text, { special: true }), bytes), ["hello", "<|endoftext|>", "<think>"]);
  const plain = texts(bytes.encode(text), bytes);
  assert.ok(!plain.includes("<|endoftext|>"));
  assert.equal(plain.at(-1), "<think>");
  assert.equal(bytes.decode(bytes.encode(text)), text);
});

test("white space beside an added token belongs to it where the vocabulary says so", () => {
  assert.deepEqual(texts(bytes.encode("a <think> a"), bytes), ["a", "<think>", "Ġ", "a"]);
  assert.deepEqual(texts(bytes.encode("a <|im_start|>\n a", { special: true }), bytes), [
    "a",
    "Ġ",
    "<|im_start|>",
    "a",
  ]);
});

test("control tokens stand for no bytes, user tokens for their own text", () => {
  assert.equal(bytes.bytes(bytes.id("<|endoftext|>") as number).length, 0);
  assert.equal(Buffer.from(bytes.bytes(bytes.id("<think>") as number)).toString(), "<think>");
  assert.equal(bytes.bytes(1_000_000).length, 0);
  assert.equal(bytes.bytes(-1).length, 0);
});

test("bos is added where the model asks for it and the caller too", () => {
  assert.deepEqual(bytes.encode("", { bos: true }), [bytes.id("<|endoftext|>")]);
  assert.deepEqual(bytes.encode(""), []);
  assert.deepEqual(tokenizerFromJson(byteLevelJson(), { bosToken: "<|endoftext|>" }).encode("", { bos: true }), []);
  assert.deepEqual(pieces.encode("", { bos: true }), [1]);
  const without = tokenizerFromGguf(sentencePieceValues().set("tokenizer.ggml.add_bos_token", false));
  assert.deepEqual(without.encode("a", { bos: true }), without.encode("a"));
  assert.equal(without.bosId, 1);
});

test("a post-processor's first token is the model's bos", () => {
  const single = [{ SpecialToken: { id: "<|im_start|>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }];
  const processors = [{ type: "ByteLevel" }, { type: "TemplateProcessing", single }];
  const tokenizer = tokenizerFromJson({ ...byteLevelJson(), post_processor: { type: "Sequence", processors } });
  assert.deepEqual(tokenizer.encode("", { bos: true }), [tokenizer.id("<|im_start|>")]);
});

test("stop ids: the file's own and the well-known control tokens", () => {
  assert.deepEqual(pieces.stopIds, [2, pieces.id("<|end|>")]);
  assert.deepEqual(bytes.stopIds, [bytes.id("<|endoftext|>")]);
  assert.deepEqual(tokenizerFromJson(byteLevelJson(), { stopIds: [7, 99_999] }).stopIds, [
    7,
    bytes.id("<|endoftext|>"),
  ]);
});

test("SentencePiece merges by score, the leftmost of equals first", () => {
  assert.deepEqual(texts(pieces.encode("aab")), ["▁a", "ab"]);
  assert.deepEqual(texts(pieces.encode("abc", { continues: true })), ["ab", "c"]);
  assert.deepEqual(texts(pieces.encode("aaa", { continues: true })), ["aa", "a"]);
});

test("SentencePiece reaches tokens around characters that are no tokens", () => {
  assert.deepEqual(texts(pieces.encode("x😀c", { continues: true })), ["x😀c"]);
  assert.deepEqual(texts(pieces.encode("xé", { continues: true })), ["<0x78>", "é"]);
});

test("SentencePiece spells unknown characters in bytes, or as one unknown token where it has none", () => {
  assert.deepEqual(texts(pieces.encode("ü", { continues: true })), ["<0xC3>", "<0xBC>"]);
  const values = sentencePieceValues();
  const types = values.get("tokenizer.ggml.token_type") as number[];
  const noBytes = tokenizerFromGguf(
    values.set(
      "tokenizer.ggml.token_type",
      types.map((type) => (type === 6 ? 5 : type)),
    ),
  );
  assert.deepEqual(texts(noBytes.encode("aüüa", { continues: true }), noBytes), ["a", "<unk>", "a"]);
});

test("text that looks like a byte token or a control token stays text", () => {
  for (const text of ["<0x0A>", "<s>", "</s>", "<unk>", "<|end|>"]) {
    const ids = pieces.encode(text);
    assert.equal(pieces.decode(ids), text);
    assert.ok(ids.length > 1);
  }
});

test("SentencePiece's own space: before the text, after special tokens, never for continued text", () => {
  assert.deepEqual(texts(pieces.encode("ab<s>ab", { special: true })), ["▁ab", "<s>", "▁ab"]);
  assert.deepEqual(texts(pieces.encode(" ab")), ["▁", "▁ab"]);
  assert.deepEqual(texts(pieces.encode("ab", { continues: true })), ["ab"]);
  assert.equal(pieces.decode(pieces.encode(" ab")), " ab");
  const [word] = pieces.encode("ab");
  assert.equal(pieces.decode([word]), "ab");
  assert.equal(pieces.decode([1, word]), "ab");
  const stream = pieces.stream({ continues: true });
  assert.equal(stream.push(word) + stream.push(word), " ab ab");
});

test("lone surrogates are read as U+FFFD", () => {
  assert.equal(bytes.decode(bytes.encode("a\ud800b")), "a\ufffdb");
});

test("the stream holds back half a character and reports it at the end", () => {
  const ids = bytes.encode("é😀");
  const stream = bytes.stream();
  const shown = ids.map((id) => stream.push(id));
  assert.equal(shown.join("") + stream.flush(), "é😀");
  assert.ok(shown.every((text) => text.isWellFormed() && !text.includes("\ufffd")));
  const cut = bytes.stream();
  assert.equal(cut.push(ids[0]), "é");
  assert.equal(cut.push(ids[1]), "");
  assert.equal(cut.flush(), "\ufffd");
});

test("a byte order mark is kept", () => {
  assert.equal(bytes.decode(bytes.encode("\ufeffa")), "\ufeffa");
});

test("a model's whole-piece rule takes a piece that no merge reaches", () => {
  const json = byteLevelJson();
  json.model.vocab.zz = Object.keys(json.model.vocab).length + json.added_tokens.length;
  assert.equal(tokenizerFromJson(json).encode("zz").length, 2);
  json.model.ignore_merges = true;
  assert.deepEqual(tokenizerFromJson(json).encode("zz"), [json.model.vocab.zz]);
});

test("a megabyte without a space is merged", () => {
  const ids = bytes.encode("a".repeat(1_000_001));
  assert.equal(ids.length, 250_001);
  assert.equal(pieces.decode(pieces.encode("ab".repeat(500_000))).length, 1_000_000);
});

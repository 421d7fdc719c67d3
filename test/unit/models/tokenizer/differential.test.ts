/** The same tokenizer.json in @huggingface/tokenizers and here: equal ids and equal text. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Tokenizer as Peer } from "@huggingface/tokenizers";
import type { Fields } from "../../../../engine/models/tokenizer/fields.ts";
import { tokenizerFromJson } from "../../../../engine/models/tokenizer/huggingface.ts";
import { defaultModelDir, packageRoot } from "../../../../engine/paths.ts";
import { ggufValues, llama3Values, skip, tokenizerOf } from "./sources.ts";

const SOURCES = [
  "engine/errors.ts",
  "engine/models/types.ts",
  "run.mjs",
  "package.json",
  "engine/models/default/FORMAT.md",
];
// Not in these texts, because the peer differs there from the Rust library it follows: U+FEFF, which it loses when it
// decodes byte tokens, and numbers that are no decimal digits (½), which its "Digits" leaves together.
const TEXTS = [
  ...SOURCES.map((path) => readFileSync(join(packageRoot, path), "utf8")),
  "\tif (x) {\r\n\t\treturn 1234567.5e-10;  // naïve café — 北京 2024年 🤷🏽‍♀️ \u0301e\u00a0\u2003x\n\n\n\t }\n   ",
  "We'LL see I'm 'RE  it's \u0085 ſ 'ſ ٣٤ हिन्दी ภาษาไทย 한국어 가나다 ࠀ",
  "camelCase snake_case SCREAMING_CASE kebab-case 0xDEADBEEF 1_000_000 a+=b; ((((]]]] ...!!!???",
  " ",
  "\n \n  \n",
];

const BYTE_LEVEL = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
const split = (Regex: string) => ({ type: "Split", pattern: { Regex }, behavior: "Isolated", invert: false });
const LLAMA3_PATTERN =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

function byteLevelJson(values: { get(key: string): unknown }, preTokenizers: object[], ignoreMerges = false): Fields {
  const tokens = values.get("tokenizer.ggml.tokens") as string[];
  return {
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: "Sequence", pretokenizers: preTokenizers },
    post_processor: null,
    decoder: { type: "ByteLevel" },
    model: {
      type: "BPE",
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: values.get("tokenizer.ggml.merges"),
      ignore_merges: ignoreMerges,
    },
  };
}

/** SentencePiece as converters write it: explicit merges in order of score. */
function sentencePieceJson(values: Map<string, unknown>): Fields {
  const tokens = values.get("tokenizer.ggml.tokens") as string[];
  const scores = values.get("tokenizer.ggml.scores") as number[];
  const vocab = new Map(tokens.map((token, id) => [token, id]));
  const ranked: { score: number; merge: [string, string] }[] = [];
  tokens.forEach((token, id) => {
    for (let cut = 1; id >= 259 && cut < token.length; cut++) {
      const merge: [string, string] = [token.slice(0, cut), token.slice(cut)];
      if (merge.every((part) => vocab.has(part))) ranked.push({ score: scores[id], merge });
    }
  });
  ranked.sort((a, b) => b.score - a.score);
  return {
    added_tokens: [0, 1, 2].map((id) => ({ id, content: tokens[id], special: true, normalized: false })),
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "Prepend", prepend: "▁" },
        { type: "Replace", pattern: { String: " " }, content: "▁" },
      ],
    },
    pre_tokenizer: null,
    post_processor: null,
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "▁" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        { type: "Strip", content: " ", start: 1, stop: 0 },
      ],
    },
    model: {
      type: "BPE",
      vocab: Object.fromEntries(vocab),
      merges: ranked.map(({ merge }) => merge),
      unk_token: "<unk>",
      fuse_unk: true,
      byte_fallback: true,
    },
  };
}

/** Compares ids and decoded text of both. */
function compare(json: Fields): void {
  const ours = tokenizerFromJson(json);
  const theirs = new Peer(json, {});
  for (const text of TEXTS) {
    const ids = theirs.encode(text, { add_special_tokens: false }).ids;
    assert.deepEqual(ours.encode(text, { special: true }), ids, JSON.stringify(text.slice(0, 60)));
    assert.equal(
      ours.decode(ids),
      theirs.decode(ids, { skip_special_tokens: true, clean_up_tokenization_spaces: false }),
    );
  }
}

test("llama 3 with ignore_merges", { skip }, () => {
  compare(byteLevelJson(llama3Values(), [split(LLAMA3_PATTERN), BYTE_LEVEL], true));
});

test("deepseek-coder's sequence of splits", { skip }, async () => {
  const steps = ["[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[一-龥ࠀ-一가-퟿]+"].map(split);
  compare(
    byteLevelJson(await ggufValues("deepseek-coder"), [
      ...steps,
      { type: "Digits", individual_digits: true },
      BYTE_LEVEL,
    ]),
  );
});

test("gpt-2", { skip }, async () => {
  compare(byteLevelJson(await ggufValues("gpt-2"), [{ ...BYTE_LEVEL, use_regex: true }]));
});

test("llama's SentencePiece, and equal to the vocabulary's scores", { skip }, async () => {
  const json = sentencePieceJson(await ggufValues("llama-spm"));
  compare(json);
  const fromJson = tokenizerFromJson(json);
  const fromScores = await tokenizerOf("llama-spm");
  for (const text of TEXTS) assert.deepEqual(fromJson.encode(text), fromScores.encode(text));
});

const defaultTokenizer = join(defaultModelDir, "tokenizer.json");
test("the default model's tokenizer", { skip: existsSync(defaultTokenizer) ? false : "no default model yet" }, () => {
  compare(JSON.parse(readFileSync(defaultTokenizer, "utf8")) as Fields);
});

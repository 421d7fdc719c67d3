/** Small made-up tokenizers, so that most tests need no third-party data. */
import { byteTokenText } from "../../../../engine/models/tokenizer/alphabet.ts";
import { CHAR_OF_BYTE } from "../../../../engine/models/tokenizer/byte-alphabet.ts";
import { GPT2 } from "../../../../engine/models/tokenizer/split.ts";

const MERGES = ["h e", "l l", "he ll", "hell o", "Ġ Ġ", "ĠĠ ĠĠ", "a a", "aa aa", "Ã ©", "ð Ł", "ðŁ ĺ", "Ċ Ċ"];

/** A byte-level tokenizer.json: all bytes, a few merges, two control tokens and a user token. */
export function byteLevelJson() {
  const texts = [...CHAR_OF_BYTE, ...MERGES.map((merge) => merge.replace(" ", ""))];
  const nTexts = texts.length;
  return {
    added_tokens: [
      { id: nTexts, content: "<|endoftext|>", special: true },
      { id: nTexts + 1, content: "<|im_start|>", special: true, rstrip: true },
      { id: nTexts + 2, content: "<think>", special: false, lstrip: true },
    ] as Record<string, unknown>[],
    normalizer: null as unknown,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, use_regex: true } as unknown,
    post_processor: null as unknown,
    decoder: { type: "ByteLevel" } as unknown,
    model: {
      type: "BPE",
      vocab: Object.fromEntries(texts.map((text, id) => [text, id])) as Record<string, unknown>,
      merges: [...MERGES] as unknown[],
      unk_token: null as string | null,
      byte_fallback: false,
      ignore_merges: false,
    },
  };
}

/** GPT-2's split as a tokenizer.json spells it. */
export const gpt2Pattern = GPT2.source;

const PIECES: readonly [text: string, score: number][] = [
  ["▁", -10],
  ["a", -11],
  ["b", -12],
  ["c", -13],
  ["é", -14],
  ["▁a", -1],
  ["ab", -2],
  ["▁ab", -3],
  ["bc", -2],
  ["aa", -2],
  ["▁▁", -4],
  ["x😀", -5], // neither character is a token
  ["x😀c", -6],
];

/** SentencePiece as GGUF metadata: unknown, bos, eos, all bytes, a few pieces, a control and a user token. */
export function sentencePieceValues(): Map<string, unknown> {
  const tokens = ["<unk>", "<s>", "</s>", ...Array.from({ length: 256 }, (_, byte) => byteTokenText(byte))];
  const types = [2, 3, 3, ...Array<number>(256).fill(6)];
  const scores = tokens.map(() => 0);
  for (const [text, score] of PIECES) {
    tokens.push(text);
    types.push(1);
    scores.push(score);
  }
  return new Map<string, unknown>([
    ["tokenizer.ggml.model", "llama"],
    ["tokenizer.ggml.tokens", [...tokens, "<|end|>", "<tab>"]],
    ["tokenizer.ggml.token_type", [...types, 3, 4]],
    ["tokenizer.ggml.scores", [...scores, 0, 0]],
    ["tokenizer.ggml.bos_token_id", 1],
    ["tokenizer.ggml.eos_token_id", 2],
    ["tokenizer.ggml.unknown_token_id", 0],
  ]);
}

/** Tokenizers out of GGUF metadata (`tokenizer.ggml.*`). Source: the GGUF specification and llama.cpp's behaviour. */
import { LongsightError } from "../../errors.ts";
import { shown } from "../messages.ts";
import { byteAlphabet, characterAlphabet } from "./alphabet.ts";
import { cutSplit } from "./cut.ts";
import { damaged, numbers, optionalBoolean, optionalId, string, strings, unsupported } from "./fields.ts";
import { mergesFromPairs } from "./pairs.ts";
import { mergesFromScores } from "./scores.ts";
import { namedSplit } from "./split.ts";
import { BpeTokenizer, type ModelTokenizer, type TokenizerParts } from "./tokenizer.ts";
import { stopIds, type TokenKind, type Vocabulary, vocabulary } from "./vocabulary.ts";

/** A GGUF file's key/value pairs, as a reader or a Map gives them. */
export interface GgufValues {
  get(key: string): unknown;
}

/** GGUF's token types by number; 2 marks the unknown token, which is never made of text. */
const KINDS: readonly (TokenKind | undefined)[] = [undefined, "normal", "unused", "control", "user", "unused", "byte"];

/** What the two families of tokenizers have of their own. */
type Family = Pick<
  TokenizerParts,
  "alphabet" | "merges" | "split" | "spacePrefix" | "marksSpaces" | "stripsFirstSpace" | "wholePieces" | "addsBos"
>;

/**
 * The tokenizer of a GGUF model. Throws bad-model where there is none or its values contradict each other, and
 * unsupported for other kinds than byte-level BPE ("gpt2") and SentencePiece ("llama").
 */
export function tokenizerFromGguf(values: GgufValues): ModelTokenizer {
  const get = (key: string): unknown => values.get(`tokenizer.ggml.${key}`);
  const model = get("model");
  if (model === undefined || get("tokens") === undefined) {
    throw new LongsightError("bad-model", "The model file has no tokenizer; choose a file that includes one.");
  }
  const texts = strings(get("tokens"), "the token list");
  const known = vocabulary(texts, kindsOf(get("token_type"), texts.length));
  const id = (key: string): number | undefined => optionalId(get(key), key, texts.length);
  const family =
    model === "gpt2" ? byteLevel(values, known) : model === "llama" ? sentencePiece(values, known) : undefined;
  if (!family) throw unsupported(`the kind ${shown(model)}`);
  const eosId = id("eos_token_id");
  const template = values.get("tokenizer.chat_template");
  return new BpeTokenizer({
    ...family,
    vocabulary: known,
    strips: stripsOf(values, known),
    bosId: id("bos_token_id"),
    eosId,
    addsBos: optionalBoolean(get("add_bos_token"), "add_bos_token") ?? family.addsBos,
    stopIds: stopIds(known, [eosId, id("eot_token_id"), id("eom_token_id")]),
    chatTemplate: template === undefined ? undefined : string(template, "the chat template"),
  });
}

function byteLevel(values: GgufValues, known: Vocabulary): Family {
  const name = preTokenizer(values);
  const isLlama3 = ["llama-bpe", "llama3", "llama-v3"].includes(name);
  return {
    alphabet: byteAlphabet(known),
    merges: mergesFromPairs(known, strings(values.get("tokenizer.ggml.merges"), "the list of merges")),
    split: namedSplit(name),
    spacePrefix:
      values.get("tokenizer.ggml.add_space_prefix") === true ? { always: false, everywhere: true } : undefined,
    marksSpaces: false,
    stripsFirstSpace: false,
    wholePieces: isLlama3,
    addsBos: isLlama3,
  };
}

/** The name of the pre-tokeniser; only Qwen's architectures say by themselves which one it must be. */
function preTokenizer(values: GgufValues): string {
  const name = values.get("tokenizer.ggml.pre");
  if (name !== undefined) return string(name, "the pre-tokeniser's name");
  const architecture = values.get("general.architecture");
  if (architecture === "qwen2" || architecture === "qwen3") return "qwen2";
  throw new LongsightError(
    "unsupported",
    "The model file does not name its pre-tokeniser; convert the model again with a newer converter.",
  );
}

function sentencePiece(values: GgufValues, known: Vocabulary): Family {
  const get = (key: string): unknown => values.get(`tokenizer.ggml.${key}`);
  const nTokens = known.texts.length;
  const { merges, innerChars } = mergesFromScores(known, numbers(get("scores"), "the list of scores", nTokens));
  const prefixed = optionalBoolean(get("add_space_prefix"), "add_space_prefix") ?? true;
  return {
    alphabet: characterAlphabet(known, innerChars, optionalId(get("unknown_token_id"), "unknown_token_id", nTokens)),
    merges,
    split: cutSplit(known),
    spacePrefix: prefixed ? { always: true, everywhere: true } : undefined,
    marksSpaces: true,
    stripsFirstSpace: prefixed,
    wholePieces: false,
    addsBos: true,
  };
}

function kindsOf(value: unknown, nTokens: number): TokenKind[] {
  if (value === undefined) return Array<TokenKind>(nTokens).fill("normal");
  return Array.from(numbers(value, "the list of token types", nTokens), (type) => {
    const kind = KINDS[type];
    if (!kind) throw damaged(`there is no token type ${type}`);
    return kind;
  });
}

/** GGUF does not say which tokens take white space with them; Phi-3's do, with three exceptions. */
function stripsOf(values: GgufValues, known: Vocabulary): TokenizerParts["strips"] {
  const name = values.get("general.name");
  if (typeof name !== "string" || !/phi-?3/i.test(name)) return undefined;
  const exceptions = ["<unk>", "<s>", "<|endoftext|>"];
  const strips = new Map<number, { left: boolean; right: boolean }>();
  known.texts.forEach((text, id) => {
    const special = known.kinds[id] === "control" || text === "</s>";
    if (special && !exceptions.includes(text)) strips.set(id, { left: false, right: true });
  });
  return strips;
}

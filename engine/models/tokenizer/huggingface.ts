/** Tokenizers out of a parsed tokenizer.json (the format of Hugging Face's `tokenizers` library): BPE models only. */
import { shown } from "../messages.ts";
import { byteAlphabet, characterAlphabet } from "./alphabet.ts";
import { cutSplit } from "./cut.ts";
import { damaged, type Fields, list, object, optionalBoolean, string, strings, unsupported } from "./fields.ts";
import { MAX_MERGES, mergesFromPairs } from "./pairs.ts";
import { inSequence } from "./split.ts";
import { flattened, normalizerSteps, preTokenizerSteps } from "./steps.ts";
import { BpeTokenizer, type ModelTokenizer, type TokenizerParts } from "./tokenizer.ts";
import { stopIds, type TokenKind, type Vocabulary, vocabulary } from "./vocabulary.ts";

/** What the files beside tokenizer.json say. */
export interface TokenizerSettings {
  readonly bosToken?: string;
  readonly eosToken?: string;
  readonly addBosToken?: boolean;
  readonly stopIds?: readonly number[];
  readonly chatTemplate?: string;
}

/** Builds the tokenizer; throws bad-model where the file contradicts itself, unsupported for kinds not known here. */
export function tokenizerFromJson(json: Fields, settings: TokenizerSettings = {}): ModelTokenizer {
  const model = object(json.model, "its model");
  if (model.type !== undefined && model.type !== "BPE") throw unsupported(`the kind ${shown(model.type)}`);
  for (const name of ["continuing_subword_prefix", "end_of_word_suffix", "dropout"]) {
    if (model[name]) throw unsupported(`the setting ${name}`);
  }
  const { known, strips } = readVocabulary(model, json.added_tokens ?? []);
  const normalizer = normalizerSteps(json.normalizer);
  const steps = preTokenizerSteps(json.pre_tokenizer);
  const marksSpaces = normalizer.marksSpaces || steps.marksSpaces;
  if (steps.byteLevel === marksSpaces) {
    throw unsupported(marksSpaces ? "two alphabets at once" : "neither a byte-level nor a SentencePiece alphabet");
  }
  const id = (token: string | undefined): number | undefined =>
    token === undefined ? undefined : known.idOf.get(token);
  const wholePieces = optionalBoolean(model.ignore_merges, "ignore_merges") ?? false;
  const unknown = model.unk_token ?? undefined;
  const template = leadingToken(json.post_processor, known);
  const bosId = template ?? id(settings.bosToken);
  const eosId = id(settings.eosToken);
  return new BpeTokenizer({
    vocabulary: known,
    alphabet: steps.byteLevel
      ? byteAlphabet(known)
      : characterAlphabet(known, [], id(unknown === undefined ? undefined : string(unknown, "unk_token"))),
    merges: mergesFromPairs(known, readMerges(model.merges)),
    split: marksSpaces && !wholePieces ? inSequence([steps.split, cutSplit(known)]) : steps.split,
    normalize: normalizer.normalize,
    spacePrefix: normalizer.spacePrefix ?? steps.spacePrefix,
    marksSpaces,
    stripsFirstSpace: stripsFirstSpace(json.decoder, steps.byteLevel),
    wholePieces,
    strips,
    bosId,
    eosId,
    addsBos: template !== undefined || (settings.addBosToken ?? false),
    stopIds: stopIds(known, [eosId, ...(settings.stopIds ?? []).filter((stop) => stop < known.texts.length)]),
    chatTemplate: settings.chatTemplate,
  });
}

/** The model's vocabulary and the added tokens, by id; ids that are left out are unused. */
function readVocabulary(model: Fields, addedTokens: unknown): { known: Vocabulary; strips: TokenizerParts["strips"] } {
  const vocab = Object.entries(object(model.vocab, "its vocabulary"));
  const added = list(addedTokens, "the list of added tokens").map((entry) => object(entry, "an added token"));
  const maxId = 2 * (vocab.length + added.length) + 1024; // room for gaps, not for absurd ids
  const texts: string[] = [];
  const kinds: TokenKind[] = [];
  const set = (text: string, id: unknown, kind: TokenKind): number => {
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id > maxId) {
      throw damaged(`the token ${shown(text)} has the id ${shown(id)}`);
    }
    if (kind === "normal" && texts[id] !== undefined) {
      throw damaged(`the tokens ${shown(texts[id])} and ${shown(text)} have the same id`);
    }
    texts[id] = text;
    kinds[id] = kind;
    return id;
  };
  const byteFallback = optionalBoolean(model.byte_fallback, "byte_fallback") ?? false;
  for (const [text, id] of vocab) set(text, id, byteFallback && /^<0x[0-9A-F]{2}>$/.test(text) ? "byte" : "normal");
  const strips = new Map<number, { left: boolean; right: boolean }>();
  for (const token of added) {
    const text = string(token.content, "an added token's content");
    if (token.single_word === true) throw unsupported(`the whole-word token ${shown(text)}`);
    const id = set(text, token.id, token.special === true ? "control" : "user");
    const left = token.lstrip === true;
    const right = token.rstrip === true;
    if (left || right) strips.set(id, { left, right });
  }
  for (let id = 0; id < texts.length; id++) {
    texts[id] ??= "";
    kinds[id] ??= "unused";
  }
  return { known: vocabulary(texts, kinds), strips };
}

function readMerges(value: unknown): (string | [string, string])[] {
  const merges = list(value, "the list of merges");
  if (merges.length > MAX_MERGES) throw damaged(`it has ${merges.length} merges`);
  return merges.map((merge) => {
    if (typeof merge === "string") return merge;
    const [left, right] = strings(merge, "a merge");
    return [left ?? "", right ?? ""];
  });
}

/** The token that the post-processor puts before a text, if there is one. */
function leadingToken(value: unknown, known: Vocabulary): number | undefined {
  for (const processor of flattened(value, "post-processor", "processors")) {
    if (processor.type !== "TemplateProcessing") continue;
    const first = object(list(processor.single, "the post-processor's template")[0], "the template's first part");
    if (first.SpecialToken === undefined) continue;
    return known.idOf.get(string(object(first.SpecialToken, "the template's token").id, "the template's token"));
  }
  return undefined;
}

/** Whether decoding takes away the first space; also refuses decoders that are neither family's. */
function stripsFirstSpace(value: unknown, byteLevel: boolean): boolean {
  return flattened(value, "decoder", "decoders")
    .map((decoder) => {
      if (byteLevel && decoder.type === "ByteLevel") return false;
      if (decoder.type === "Metaspace" && !byteLevel)
        return decoder.prepend_scheme !== "never" && decoder.add_prefix_space !== false;
      if (decoder.type === "Strip" && !byteLevel) return decoder.content === " " && decoder.start === 1;
      if (["Replace", "ByteFallback", "Fuse"].some((type) => type === decoder.type) && !byteLevel) return false;
      throw unsupported(`the decoder ${shown(decoder.type)}`);
    })
    .includes(true);
}

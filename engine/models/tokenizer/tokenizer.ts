/**
 * The tokenizer that every source builds: added tokens are cut out, the text between them is normalised, split into
 * pieces, and each piece is merged on its own.
 */
import type { Tokenizer } from "../types.ts";
import { type AddedToken, AddedTokens } from "./added-tokens.ts";
import { type Alphabet, SPACE_MARK } from "./alphabet.ts";
import { type MergeTable, mergeSymbols } from "./merge.ts";
import type { Splitter } from "./split.ts";
import { StreamDecoder } from "./stream.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** A space written before the text, so that a first word looks like any other. */
export interface SpacePrefix {
  /** Whether text that begins with a space gets one more. */
  readonly always: boolean;
  /** Whether the text after every added token gets one too, not only the beginning. */
  readonly everywhere: boolean;
}

/** Everything that tells one tokenizer from another. */
export interface TokenizerParts {
  readonly vocabulary: Vocabulary;
  readonly alphabet: Alphabet;
  readonly merges: MergeTable;
  readonly split: Splitter;
  readonly normalize?: (text: string) => string;
  readonly spacePrefix?: SpacePrefix;
  /** Spaces are written as ▁ (SentencePiece). */
  readonly marksSpaces: boolean;
  /** Decoding takes the first space away again. */
  readonly stripsFirstSpace: boolean;
  /** A piece that is a token as a whole is not merged (Llama 3's ignore_merges). */
  readonly wholePieces: boolean;
  /** White space that belongs to added tokens, by id. */
  readonly strips?: ReadonlyMap<number, { readonly left: boolean; readonly right: boolean }>;
  readonly bosId?: number;
  readonly eosId?: number;
  readonly addsBos: boolean;
  readonly stopIds: readonly number[];
  readonly chatTemplate?: string;
}

/** A model's own tokenizer: what the contract asks for, and what prompts need to know besides. */
export interface ModelTokenizer extends Tokenizer {
  readonly kind: "byte-level BPE" | "SentencePiece";
  readonly eosId: number | undefined;
  /** The model's chat template (Jinja), where its files hold one. */
  readonly chatTemplate: string | undefined;
  /** As the contract has it; `continues`: the ids continue other text, so that a first space is kept. */
  decode(ids: readonly number[], options?: { continues?: boolean }): string;
  /** The texts of all control tokens. */
  readonly controlTexts: readonly string[];
  /** The text of a token as the vocabulary writes it, control tokens included; "" for ids it does not have. */
  token(id: number): string;
  /** A decoder for ids as they come; see StreamDecoder. `continues`: they continue other text. */
  stream(options?: { continues?: boolean }): StreamDecoder;
}

const MAX_CACHED_PIECES = 50_000;
const MAX_CACHED_LENGTH = 64;
const NO_BYTES = new Uint8Array(0);
const utf8 = new TextEncoder();

export class BpeTokenizer implements ModelTokenizer {
  readonly kind: "byte-level BPE" | "SentencePiece";
  readonly vocabSize: number;
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  readonly stopIds: readonly number[];
  readonly chatTemplate: string | undefined;
  readonly controlTexts: readonly string[];
  readonly #parts: TokenizerParts;
  readonly #userTokens: AddedTokens;
  readonly #allAddedTokens: AddedTokens;
  readonly #cache = new Map<string, readonly number[]>();
  readonly #bytes: (Uint8Array | undefined)[] = [];

  constructor(parts: TokenizerParts) {
    this.#parts = parts;
    this.kind = parts.marksSpaces ? "SentencePiece" : "byte-level BPE";
    this.vocabSize = parts.vocabulary.texts.length;
    this.bosId = parts.bosId;
    this.eosId = parts.eosId;
    this.stopIds = parts.stopIds;
    this.chatTemplate = parts.chatTemplate;
    const user = addedTokens(parts, "user");
    this.#userTokens = new AddedTokens(user);
    const control = addedTokens(parts, "control");
    this.#allAddedTokens = new AddedTokens([...user, ...control]);
    this.controlTexts = control.map((token) => token.text);
  }

  /** Encodes text; lone surrogates are read as U+FFFD, since they are no Unicode text. */
  encode(text: string, options: { special?: boolean; bos?: boolean; continues?: boolean } = {}): number[] {
    const { bosId, addsBos, spacePrefix } = this.#parts;
    const ids: number[] = [];
    if (options.bos && addsBos && bosId !== undefined) ids.push(bosId);
    const added = options.special ? this.#allAddedTokens : this.#userTokens;
    let atStart = !options.continues;
    for (const part of added.split(text.toWellFormed())) {
      if (typeof part === "number") {
        ids.push(part);
        atStart = spacePrefix?.everywhere ?? false;
      } else {
        this.#encodeText(part, atStart, ids);
        atStart = false;
      }
    }
    return ids;
  }

  bytes(id: number): Uint8Array {
    this.#bytes[id] ??= this.#bytesOf(id);
    return this.#bytes[id];
  }

  decode(ids: readonly number[], options: { continues?: boolean } = {}): string {
    const decoder = this.stream(options);
    let text = "";
    for (const id of ids) text += decoder.push(id);
    return text + decoder.flush();
  }

  id(token: string): number | undefined {
    return this.#parts.vocabulary.idOf.get(token);
  }

  token(id: number): string {
    return this.#parts.vocabulary.texts[id] ?? "";
  }

  stream(options: { continues?: boolean } = {}): StreamDecoder {
    return new StreamDecoder(this, { stripFirstSpace: this.#parts.stripsFirstSpace && !options.continues });
  }

  #encodeText(raw: string, atStart: boolean, ids: number[]): void {
    const { normalize, spacePrefix, marksSpaces, split } = this.#parts;
    let text = normalize ? normalize(raw) : raw;
    if (atStart && spacePrefix && (spacePrefix.always || !/^[ ▁]/.test(text))) text = ` ${text}`;
    if (marksSpaces) text = text.replaceAll(" ", SPACE_MARK);
    for (const piece of split(text)) {
      const pieceIds = this.#cache.get(piece) ?? this.#encodePiece(piece);
      for (let i = 0; i < pieceIds.length; i++) ids.push(pieceIds[i]);
    }
  }

  #encodePiece(piece: string): readonly number[] {
    const ids = this.#merge(piece);
    if (piece.length > MAX_CACHED_LENGTH) return ids;
    if (this.#cache.size >= MAX_CACHED_PIECES) this.#cache.clear();
    // A copy, because a piece is a slice that would keep the whole text it was cut from alive.
    this.#cache.set(Buffer.from(piece, "utf16le").toString("utf16le"), ids);
    return ids;
  }

  #merge(piece: string): readonly number[] {
    const { alphabet, merges, vocabulary, wholePieces } = this.#parts;
    const whole = wholePieces ? vocabulary.idOf.get(alphabet.tokenText(piece)) : undefined;
    if (whole !== undefined && vocabulary.kinds[whole] === "normal") return [whole];
    const symbols = alphabet.symbols(piece);
    const count = mergeSymbols(symbols, symbols.length, merges);
    const ids: number[] = [];
    for (let i = 0; i < count; i++) alphabet.emit(symbols[i], ids);
    return ids;
  }

  #bytesOf(id: number): Uint8Array {
    const { vocabulary, alphabet } = this.#parts;
    switch (vocabulary.kinds[id]) {
      case "normal":
      case "byte":
        return alphabet.bytes(id);
      case "user":
        return utf8.encode(vocabulary.texts[id]);
      default:
        return NO_BYTES; // control and unused tokens, and ids that only pad the model's output matrix
    }
  }
}

function addedTokens({ vocabulary, strips }: TokenizerParts, kind: "user" | "control"): AddedToken[] {
  const tokens: AddedToken[] = [];
  vocabulary.kinds.forEach((tokenKind, id) => {
    if (tokenKind !== kind) return;
    const strip = strips?.get(id);
    tokens.push({ id, text: vocabulary.texts[id], stripLeft: strip?.left, stripRight: strip?.right });
  });
  return tokens;
}

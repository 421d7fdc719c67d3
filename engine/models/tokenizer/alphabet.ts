/** The two alphabets that text is spelled in before merging: bytes (GPT-2) and characters (SentencePiece). */
import { bytesOfToken, CHAR_OF_BYTE } from "./byte-alphabet.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** Spells pieces of text as symbols and tokens as bytes. A symbol is a token id, or a number from vocabSize up. */
export interface Alphabet {
  /** The symbols of a piece of well-formed text, before merging. */
  symbols(piece: string): Int32Array;
  /** The key of a piece among the vocabulary's token texts. */
  tokenText(piece: string): string;
  /** Appends the ids of one merged symbol. */
  emit(symbol: number, ids: number[]): void;
  /** The bytes of a normal or byte token. */
  bytes(id: number): Uint8Array;
}

const utf8 = new TextEncoder();
const NO_BYTES = new Uint8Array(0);

/**
 * One symbol a byte. A byte that the vocabulary has no token for is left out, as the reference implementations do
 * (StarCoder lacks 0xF1, which only unassigned characters contain).
 */
export function byteAlphabet({ texts, idOf }: Vocabulary): Alphabet {
  const idOfByte = Int32Array.from(CHAR_OF_BYTE, (char) => idOf.get(char) ?? -1);
  const encoded = (piece: string): Uint8Array => utf8.encode(piece);
  return {
    symbols(piece) {
      const ids = Int32Array.from(encoded(piece), (byte) => idOfByte[byte]);
      return ids.includes(-1) ? ids.filter((id) => id >= 0) : ids;
    },
    tokenText: (piece) => Array.from(encoded(piece), (byte) => CHAR_OF_BYTE[byte]).join(""),
    emit: (symbol, ids) => void ids.push(symbol),
    bytes: (id) => bytesOfToken(texts[id]) ?? utf8.encode(texts[id]),
  };
}

/** The mark that SentencePiece writes for a space. */
export const SPACE_MARK = "▁";

/**
 * One symbol a character, spaces written as ▁. Characters that are no token are spelled in byte tokens, or as the
 * unknown token where the vocabulary has none; those that occur within tokens (`innerChars`) get symbols of their
 * own, from vocabSize up, so that merging can still reach the token around them.
 */
export function characterAlphabet(
  { texts, kinds, idOf }: Vocabulary,
  innerChars: readonly string[],
  unknownId: number | undefined,
): Alphabet {
  const innerSymbols = new Map(innerChars.map((char, i) => [char, texts.length + i]));
  const byteIds = Array.from({ length: 256 }, (_, byte) => idOf.get(byteTokenText(byte)));
  const byteOfId = new Map(byteIds.map((id, byte) => [id, byte]));
  const fallback = (char: string): number[] => {
    const ids = Array.from(utf8.encode(char), (byte) => byteIds[byte]);
    if (ids.every((id) => id !== undefined && kinds[id] === "byte")) return ids as number[];
    return unknownId === undefined ? [] : [unknownId];
  };
  return {
    symbols(piece) {
      const symbols: number[] = [];
      for (const char of piece) {
        const id = idOf.get(char);
        const symbol = id !== undefined && kinds[id] === "normal" ? id : innerSymbols.get(char);
        if (symbol !== undefined) symbols.push(symbol);
        else symbols.push(...fallback(char));
      }
      return Int32Array.from(symbols);
    },
    tokenText: (piece) => piece,
    emit(symbol, ids) {
      const spelled = symbol < texts.length ? [symbol] : fallback(innerChars[symbol - texts.length]);
      for (const id of spelled) if (id !== unknownId || ids.at(-1) !== unknownId) ids.push(id); // unknowns fuse
    },
    bytes(id) {
      if (kinds[id] === "byte") return Uint8Array.of(byteOfId.get(id) ?? 0);
      return id === unknownId ? NO_BYTES : utf8.encode(texts[id].replaceAll(SPACE_MARK, " "));
    },
  };
}

/** How SentencePiece writes the token of a byte: <0x0A>. */
export function byteTokenText(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
}

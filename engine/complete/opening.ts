/**
 * Begins a completion inside a word, or between two signs, that a single token stands for in whole texts: behind "x = resp" a
 * model that read whole texts expects anything but "onse", since " response" is one token. So the last piece before the
 * cursor is taken back, and what it may be the beginning of is weighed (known as token healing).
 */
import type { Tokenizer } from "../models/types.ts";
import type { Proposal } from "./copier.ts";
import { type Likely, mixed, softmax } from "./mixture.ts";

/** The last piece of a text, as the default model's tokenizer cuts texts, where it may go on: not line starts and digits. */
const PIECE = /(?:(?:(?<=\S[ \t]*) |(?<!_)_)?\p{L}+|(?<=\S[ \t]*) |(?:(?<=\S[ \t]*) )?[^\s\p{L}\p{N}_]+|_+)$/u;

/**
 * In characters, and in tokens: longer pieces are ornaments, or sentences without spaces that the model has no words for. The
 * logits behind each token of a piece and of a draft come from one run.
 */
const MAX_PIECE = 40;

/** What is taken back: tokens of the prompt's end, maybe none, and their bytes. */
export interface Opening {
  readonly piece: readonly number[];
  readonly bytes: Uint8Array;
}

export const NO_PIECE: Opening = { piece: [], bytes: new Uint8Array(0) };

/** The token that a completion begins with, behind so many tokens of the piece: where not behind all, it begins in the piece. */
export interface Beginning {
  readonly nKept: number;
  readonly id: number;
}

/** Takes back the last piece of the prefix, which the prompt's `ids` end with. */
export function openingOf(tokenizer: Tokenizer, ids: readonly number[], prefix: string): Opening {
  const text = PIECE.exec(prefix.slice(-MAX_PIECE - 1))?.[0] ?? "";
  const piece = text.length > MAX_PIECE ? [] : tokenizer.encode(text, { continues: true });
  const start = ids.length - piece.length;
  if (piece.length === 0 || piece.length > MAX_PIECE) return NO_PIECE;
  if (!piece.every((id, i) => id === ids[start + i])) return NO_PIECE;
  return { piece, bytes: new TextEncoder().encode(text) };
}

/** How the piece and `text` behind it begin; undefined for no text. */
export function beginningOf(tokenizer: Tokenizer, { piece, bytes }: Opening, text: string): Beginning | undefined {
  const ids = tokenizer.encode(new TextDecoder().decode(bytes) + text, { continues: true });
  let nKept = 0;
  let nBytes = 0;
  while (nKept < piece.length && ids[nKept] === piece[nKept]) nBytes += tokenizer.bytes(piece[nKept++]).length;
  const reaches = nKept < ids.length && nBytes + tokenizer.bytes(ids[nKept]).length > bytes.length;
  if (reaches) return { nKept, id: ids[nKept] };
  // Tokens that part the piece otherwise than it is parted alone are rare; then it is as if it were not taken back.
  const [id] = tokenizer.encode(text, { continues: true });
  return id === undefined ? undefined : { nKept: piece.length, id };
}

/**
 * The most likely beginning, where proposals are mixed into what the model says. `rows` [piece.length + 1][vocabSize]:
 * logits behind the prompt, and behind each of the piece's tokens.
 */
export function likeliestBeginning(
  tokenizer: Tokenizer,
  opening: Opening,
  rows: readonly Float32Array[],
  proposals: readonly Proposal[],
): Beginning & Likely {
  const { piece } = opening;
  const [{ length: vocabSize }] = rows;
  const p = rows.map(softmax);
  /** A beginning as one number. */
  const wayOf = ({ nKept, id }: Beginning) => nKept * vocabSize + id;
  /** The probability of the piece's first tokens, by their number. */
  const kept = [1];
  let sum = 0;
  let best: Beginning & { readonly share: number } = { nKept: 0, id: 0, share: 0 };
  let rest = opening.bytes;
  for (let nKept = 0; nKept <= piece.length; nKept++) {
    for (let id = 0; id < vocabSize; id++) {
      if (nKept < piece.length && !goesBeyond(tokenizer.bytes(id), rest)) continue;
      const share = kept[nKept] * p[nKept][id];
      sum += share;
      if (share > best.share) best = { nKept, id, share };
    }
    if (nKept === piece.length) break;
    kept.push(kept[nKept] * p[nKept][piece[nKept]]);
    rest = rest.subarray(tokenizer.bytes(piece[nKept]).length);
  }
  const parts = proposals.map(({ share, texts }) => {
    const tokens = new Map<number, number>();
    for (const [text, weight] of texts) {
      const beginning = beginningOf(tokenizer, opening, text);
      if (beginning) tokens.set(wayOf(beginning), (tokens.get(wayOf(beginning)) ?? 0) + weight);
    }
    return { share, tokens };
  });
  const ofModel = (way: number) =>
    (kept[Math.floor(way / vocabSize)] * p[Math.floor(way / vocabSize)][way % vocabSize]) / sum;
  const { id: way, probability } = mixed(wayOf(best), ofModel, parts);
  return { nKept: Math.floor(way / vocabSize), id: way % vocabSize, probability };
}

/** What a beginning adds to the text before the cursor. */
export function bytesBehind(tokenizer: Tokenizer, { piece, bytes }: Opening, { nKept, id }: Beginning): Uint8Array {
  const tokens = [...piece.slice(0, nKept), id];
  return Buffer.concat(tokens.map((token) => tokenizer.bytes(token))).subarray(bytes.length);
}

/** Whether a token begins with `rest` and is longer. */
function goesBeyond(token: Uint8Array, rest: Uint8Array): boolean {
  return token.length > rest.length && rest.every((byte, at) => byte === token[at]);
}

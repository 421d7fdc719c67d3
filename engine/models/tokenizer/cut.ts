/** Cutting SentencePiece text into short pieces without changing what it is merged into. */
import { byteTokenText } from "./alphabet.ts";
import { type Splitter, unsplit } from "./split.ts";
import type { Vocabulary } from "./vocabulary.ts";

const PAIRS = 2 ** 20;

/**
 * SentencePiece merges across the whole text, but no token can come to be where two characters meet that stand side
 * by side in no token. Cutting there changes nothing but the speed: short pieces repeat, so their ids are cached.
 * Pairs are looked up by hash; two that collide only leave a piece longer than it need be.
 */
export function cutSplit({ texts, kinds, idOf }: Vocabulary): Splitter {
  // Without byte tokens, neighbouring unknown characters become one unknown token and have to stay together.
  if (!idOf.has(byteTokenText(0xff))) return unsplit;
  const meet = new Uint8Array(PAIRS);
  texts.forEach((text, id) => {
    if (kinds[id] === "byte") return;
    for (let i = 1; i < text.length; i++) meet[pairHash(text.charCodeAt(i - 1), text.charCodeAt(i))] = 1;
  });
  return (text) => {
    const pieces: string[] = [];
    let start = 0;
    let left = text.charCodeAt(0);
    for (let i = 1; i < text.length; i++) {
      const right = text.charCodeAt(i);
      const insideCharacter = (right & 0xfc00) === 0xdc00; // the second half of a surrogate pair
      if (meet[pairHash(left, right)] === 0 && !insideCharacter) {
        pieces.push(text.slice(start, i));
        start = i;
      }
      left = right;
    }
    if (start < text.length) pieces.push(text.slice(start));
    return pieces;
  };
}

function pairHash(left: number, right: number): number {
  return (Math.imul(left, 0x9e37) + right) & (PAIRS - 1);
}

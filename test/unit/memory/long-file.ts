/** A long file and its versions, for tests of what is stored inside it. */
import { sampleText } from "./small-memory.ts";

export const LONG_PATH = "F/LONG.TS";
/** So close to each other that short files have stored states. */
export const STORED = { spacingTokens: 256, storedTokens: 512 };

/** Numbers from 0 to 1 that are the same for the same seed. */
export function* randomNumbers(seed: number): Generator<number, never> {
  let state = seed + 1;
  while (true) {
    state = (state * 48271) % 2147483647;
    yield state / 2147483647;
  }
}

/** A text after some random edit: an insertion, a removal, a replacement, an appendix, a cut or a change of its first line. */
export function edited(text: string, random: Iterator<number, never>): string {
  const next = () => random.next().value;
  const at = Math.floor(next() * text.length);
  const piece = sampleText(Math.floor(next() * 1000), 1 + Math.floor(next() * 300));
  const removed = text.slice(at + Math.floor(next() * 300));
  switch (Math.floor(next() * 6)) {
    case 0:
      return text.slice(0, at) + piece + text.slice(at);
    case 1:
      return text.slice(0, at) + removed;
    case 2:
      return text.slice(0, at) + piece + removed;
    case 3:
      return text + piece;
    case 4:
      return text.slice(0, Math.max(at, 100));
    default:
      return piece + text;
  }
}

/** A file as it is edited time and again. */
export function* editedVersions(seed: number): Generator<string, never> {
  const random = randomNumbers(seed);
  for (let text = sampleText(seed + 1, 2500); ; text = edited(text, random)) {
    if (text.length < 1500) text += sampleText(seed + 2, 1500);
    yield text;
  }
}

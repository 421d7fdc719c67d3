/** Pre-tokenisation: cutting text into the pieces that are merged on their own. */
import { shown } from "../messages.ts";
import { unsupported } from "./fields.ts";

/** Cuts text into pieces; empty pieces do not occur. */
export type Splitter = (text: string) => string[];

export type SplitBehavior = "Isolated" | "Removed" | "MergedWithPrevious" | "MergedWithNext" | "Contiguous";

/** The patterns below are llama.cpp's and, equally, those of the models' own tokenizer.json files. */
export const GPT2 =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;
const LLAMA3 =
  /(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\p{White_Space}\p{L}\p{N}]+[\r\n]*|\p{White_Space}*[\r\n]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;
export const QWEN2 = new RegExp(LLAMA3.source.replace("{1,3}", ""), "gu");
const DIGIT = /\p{N}/gu;
/** The default model's (engine/training/tokenizer.py). */
const LONGSIGHT =
  /\r?\n[ \t]*|[ _]?\p{L}+|\p{N}| ?[^\p{White_Space}\p{L}\p{N}_]+|_+|[ \t]+(?!\P{White_Space})|\p{White_Space}/gu;

/** Whether a pattern is one of those above, which take time in proportion to the text. */
export const isKnown = (pattern: RegExp): boolean =>
  [GPT2, LLAMA3, QWEN2, DIGIT, LONGSIGHT].some((known) => known.source === pattern.source);

/** Text as one piece. */
export const unsplit: Splitter = (text) => (text === "" ? [] : [text]);

/** GPT-2's split: English contractions, letters, numbers and punctuation with their leading space, white space. */
export const gpt2Split = splitAt(GPT2);

/** The split of a GGUF pre-tokeniser (`tokenizer.ggml.pre`); unsupported where the name is unknown. */
export function namedSplit(name: string): Splitter {
  switch (name) {
    case "gpt-2":
    case "phi-2":
    case "mellum":
      return gpt2Split;
    case "llama-bpe":
    case "llama3":
    case "llama-v3":
      return splitAt(LLAMA3);
    case "qwen2":
    case "deepseek-r1-qwen":
    case "stablelm2":
      return splitAt(QWEN2);
    case "deepseek-coder":
      return inSequence([
        splitAt(/[\r\n]/gu),
        splitAt(/\p{White_Space}?\p{L}+/gu),
        splitAt(/\p{White_Space}?\p{P}+/gu),
        splitAt(/[一-龥ࠀ-一가-퟿]+/gu),
        splitAt(DIGIT),
      ]);
    case "starcoder":
    case "smollm":
    case "refact":
    case "command-r":
      return inSequence([splitAt(DIGIT), gpt2Split]);
    default:
      throw unsupported(`the pre-tokeniser ${shown(name)}`);
  }
}

/** Applies one splitter after the other to each piece. */
export function inSequence(splitters: readonly Splitter[]): Splitter {
  if (splitters.length === 1) return splitters[0];
  return (text) => {
    let pieces = unsplit(text);
    for (const split of splitters) pieces = pieces.flatMap(split);
    return pieces;
  };
}

/** Cuts at the matches of a global pattern; `invert` swaps matches and the text between them. */
export function splitAt(pattern: RegExp, behavior: SplitBehavior = "Isolated", invert = false): Splitter {
  if (behavior !== "Isolated") return (text) => joined(segments(text, pattern, invert), behavior);
  return (text) => {
    // The common patterns match every character; then all matches are all pieces, and match() is by far the fastest.
    const matches = text.match(pattern);
    if (!matches) return unsplit(text);
    let covered = 0;
    for (const match of matches) covered += match.length;
    const complete = covered === text.length && !matches.includes("");
    return complete ? matches : segments(text, pattern, false).map((segment) => segment.text);
  };
}

interface Segment {
  text: string;
  readonly matched: boolean;
}

/** All of the text in order, matches and what lies between them. */
function segments(text: string, pattern: RegExp, invert: boolean): Segment[] {
  const found: Segment[] = [];
  let end = 0;
  const add = (from: number, to: number, matched: boolean): void => {
    if (to > from) found.push({ text: text.slice(from, to), matched: matched !== invert });
  };
  for (const match of text.matchAll(pattern)) {
    add(end, match.index, false);
    end = match.index + match[0].length;
    add(match.index, end, true);
  }
  add(end, text.length, false);
  return found;
}

function joined(all: readonly Segment[], behavior: SplitBehavior): string[] {
  if (behavior === "Removed") return all.filter((segment) => !segment.matched).map((segment) => segment.text);
  const pieces: string[] = [];
  let previous: Segment | undefined;
  for (const segment of all) {
    const joins =
      previous !== undefined &&
      ((behavior === "MergedWithPrevious" && segment.matched && !previous.matched) ||
        (behavior === "MergedWithNext" && !segment.matched && previous.matched) ||
        (behavior === "Contiguous" && segment.matched === previous.matched));
    if (joins) pieces[pieces.length - 1] += segment.text;
    else pieces.push(segment.text);
    previous = segment;
  }
  return pieces;
}

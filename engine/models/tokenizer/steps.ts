/** The normalizers and pre-tokenizers of a tokenizer.json, as far as BPE models use them. */
import { TimeoutError, withinTime } from "../bounded.ts";
import { shown } from "../messages.ts";
import { SPACE_MARK } from "./alphabet.ts";
import { damaged, type Fields, list, object, optionalBoolean, string, unsupported } from "./fields.ts";
import { fromOniguruma } from "./regex.ts";
import { gpt2Split, inSequence, isKnown, type SplitBehavior, type Splitter, splitAt, unsplit } from "./split.ts";
import type { SpacePrefix } from "./tokenizer.ts";

/** Sequences may be nested this deep; real files have one level. */
const MAX_DEPTH = 4;

/** The longest replacement, and how far a text may grow: compatibility forms have up to 18 characters. */
const MAX_REPLACEMENT = 16;
const MAX_GROWTH = 32;

/** How long the patterns of a file may work on one text. Known patterns take milliseconds for the longest files. */
const TIMEOUT_MS = 3000;

export interface NormalizerSteps {
  readonly normalize?: (text: string) => string;
  readonly spacePrefix?: SpacePrefix;
  readonly marksSpaces: boolean;
}

export interface PreTokenizerSteps {
  readonly split: Splitter;
  readonly spacePrefix?: SpacePrefix;
  readonly byteLevel: boolean;
  readonly marksSpaces: boolean;
}

/** Reads a normalizer. Writing ▁ before the text and for spaces is the tokenizer's own affair and set apart. */
export function normalizerSteps(value: unknown): NormalizerSteps {
  const changes: ((text: string) => string)[] = [];
  let spacePrefix: SpacePrefix | undefined;
  let marksSpaces = false;
  for (const step of flattened(value, "normalizer", "normalizers")) {
    switch (step.type) {
      case "NFC":
      case "NFD":
      case "NFKC":
      case "NFKD": {
        const form = step.type;
        changes.push((text) => text.normalize(form));
        break;
      }
      case "Lowercase":
        changes.push((text) => text.toLowerCase());
        break;
      case "Prepend":
        if (step.prepend !== SPACE_MARK || marksSpaces) throw unsupported(`the prefix ${shown(step.prepend)}`);
        spacePrefix = { always: true, everywhere: true };
        break;
      case "Replace": {
        const pattern = patternOf(step.pattern);
        const content = string(step.content, "a replacement");
        if (content.length > MAX_REPLACEMENT) throw unsupported(`a replacement by ${content.length} characters`);
        if (pattern.source === " " && content === SPACE_MARK) marksSpaces = true;
        else if (spacePrefix || marksSpaces) throw unsupported("a replacement after the space marks");
        else changes.push((text) => text.replace(pattern, () => content));
        break;
      }
      default:
        throw unsupported(`the normalizer ${shown(step.type)}`);
    }
  }
  const normalize = changes.length === 0 ? undefined : bounded((text) => applied(changes, text));
  return { normalize, spacePrefix, marksSpaces };
}

/** All changes in order; throws where a text grows beyond all that normalisation can mean. */
function applied(changes: readonly ((text: string) => string)[], text: string): string {
  let changed = text;
  for (const change of changes) {
    changed = change(changed);
    if (changed.length > MAX_GROWTH * text.length) throw damaged("its normalizer lets texts grow");
  }
  return changed;
}

/** The same function, ended where a file's pattern backtracks without end. */
function bounded<T>(work: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return withinTime(() => work(text), TIMEOUT_MS);
    } catch (error) {
      throw error instanceof TimeoutError ? damaged("one of its patterns does not end") : error;
    }
  };
}

/** Reads a pre-tokenizer. */
export function preTokenizerSteps(value: unknown): PreTokenizerSteps {
  const splitters: Splitter[] = [];
  let isTrusted = true;
  let spacePrefix: SpacePrefix | undefined;
  let byteLevel = false;
  let marksSpaces = false;
  for (const step of flattened(value, "pre-tokenizer", "pretokenizers")) {
    if (byteLevel) throw unsupported("a pre-tokenizer after the byte alphabet");
    switch (step.type) {
      case "Split": {
        const pattern = patternOf(step.pattern);
        isTrusted &&= isKnown(pattern);
        splitters.push(splitAt(pattern, behaviorOf(step.behavior), step.invert === true));
        break;
      }
      case "Digits":
        splitters.push(splitAt(step.individual_digits === true ? /\p{N}/gu : /\p{N}+/gu));
        break;
      case "ByteLevel":
        byteLevel = true;
        if (optionalBoolean(step.add_prefix_space, "add_prefix_space") ?? true) {
          if (splitters.length > 0) throw unsupported("a space before every piece");
          spacePrefix = { always: false, everywhere: true };
        }
        if (optionalBoolean(step.use_regex, "use_regex") ?? true) splitters.push(gpt2Split);
        break;
      case "Metaspace":
        if (step.replacement !== undefined && step.replacement !== SPACE_MARK) {
          throw unsupported(`the space mark ${shown(step.replacement)}`);
        }
        marksSpaces = true;
        spacePrefix = metaspacePrefix(step);
        if (optionalBoolean(step.split, "split") ?? true) splitters.push(splitAt(/▁/gu, "MergedWithNext"));
        break;
      default:
        throw unsupported(`the pre-tokenizer ${shown(step.type)}`);
    }
  }
  const split = splitters.length === 0 ? unsplit : inSequence(splitters);
  return { split: isTrusted ? split : bounded(split), spacePrefix, byteLevel, marksSpaces };
}

function metaspacePrefix(step: Fields): SpacePrefix | undefined {
  const scheme = step.prepend_scheme ?? (step.add_prefix_space === false ? "never" : "always");
  if (scheme === "never") return undefined;
  if (scheme !== "always" && scheme !== "first") throw damaged(`there is no prefix scheme ${shown(scheme)}`);
  return { always: false, everywhere: scheme === "always" };
}

/** The steps of a sequence of sequences in order; none for null. */
export function flattened(value: unknown, name: string, listName: string, depth = 0): Fields[] {
  if (value === null || value === undefined) return [];
  if (depth > MAX_DEPTH) throw damaged(`its ${name} is nested too deeply`);
  const step = object(value, `the ${name}`);
  if (step.type !== "Sequence") return [step];
  return list(step[listName], `the list of ${listName}`).flatMap((inner) =>
    flattened(inner, name, listName, depth + 1),
  );
}

function patternOf(value: unknown): RegExp {
  const pattern = object(value, "a pattern");
  if (pattern.Regex !== undefined) return fromOniguruma(string(pattern.Regex, "a pattern"));
  const text = string(pattern.String, "a pattern");
  if (text === "") throw damaged("a pattern is empty");
  return new RegExp(text.replace(/[\^$\\.*+?()[\]{}|/]/g, "\\$&"), "gu");
}

function behaviorOf(value: unknown): SplitBehavior {
  const behaviors: readonly SplitBehavior[] = [
    "Isolated",
    "Removed",
    "MergedWithPrevious",
    "MergedWithNext",
    "Contiguous",
  ];
  const behavior = behaviors.find((known) => known === value);
  if (!behavior) throw damaged(`there is no way to split ${shown(value)}`);
  return behavior;
}

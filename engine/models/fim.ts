/** Fill in the middle: how each model family wants the text around the cursor (Bavarian et al. 2022). */
import { SUFFIX_TOKENS } from "./hybrid-config.ts";
import type { Tokenizer } from "./types.ts";

/** What surrounds the cursor, as text or as ids that are encoded already (then exactly these stand in the prompt). */
export interface FimContext {
  readonly prefix: string | readonly number[];
  readonly suffix: string | readonly number[];
  /** The file's path relative to the repository root, with "/"; Longsight's own models are told it. */
  readonly path?: string;
}

/** A model's way to be asked for the middle. */
export interface Fim {
  /** The ids of the prompt; the model continues it with the middle. */
  prompt(context: FimContext): number[];
  /** Ids that end the middle. */
  readonly stopIds: readonly number[];
  /** Whether the prompt ends with the prefix, so that the middle may begin inside its last word. */
  readonly goesOn: boolean;
}

/** The markers of families that put the prefix first, as their vocabularies write them, and what else ends a middle. */
const PREFIX_FIRST: readonly { prefix: string; suffix: string; middle: string; stops: readonly string[] }[] = [
  {
    // Qwen2.5-Coder
    prefix: "<|fim_prefix|>",
    suffix: "<|fim_suffix|>",
    middle: "<|fim_middle|>",
    stops: ["<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"],
  },
  // DeepSeek-Coder
  { prefix: "<｜fim▁begin｜>", suffix: "<｜fim▁hole｜>", middle: "<｜fim▁end｜>", stops: [] },
  {
    // StarCoder, StarCoder2, Granite
    prefix: "<fim_prefix>",
    suffix: "<fim_suffix>",
    middle: "<fim_middle>",
    stops: ["<fim_pad>", "<repo_name>", "<file_sep>"],
  },
  // CodeLlama
  { prefix: "▁<PRE>", suffix: "▁<SUF>", middle: "▁<MID>", stops: ["▁<EOT>"] },
];

/** The layout whose special tokens the vocabulary holds, or undefined where the model cannot fill in. */
export function fillInTheMiddle(tokenizer: Tokenizer): Fim | undefined {
  return suffixFirst(tokenizer) ?? prefixFirst(tokenizer);
}

/** Longsight's own layout: suffix first, then the text goes on, so that typing only appends (engine/models/default/FORMAT.md, Layouts). */
function suffixFirst(tokenizer: Tokenizer): Fim | undefined {
  const markers = ids(tokenizer, ["<|file|>", "<|suf|>", "<|pre|>"]);
  if (!markers) return undefined;
  const [file, suf, pre] = markers;
  return {
    prompt: ({ prefix, suffix, path = "" }) => [
      file,
      ...tokenizer.encode(path),
      suf,
      ...encoded(tokenizer, suffix).slice(0, SUFFIX_TOKENS),
      pre,
      ...(typeof prefix === "string" ? tokenizer.encode(`\n${prefix}`) : prefix),
    ],
    stopIds: [...new Set([...tokenizer.stopIds, file])],
    goesOn: true,
  };
}

function prefixFirst(tokenizer: Tokenizer): Fim | undefined {
  for (const { prefix, suffix, middle, stops } of PREFIX_FIRST) {
    const markers = ids(tokenizer, [prefix, suffix, middle]);
    if (!markers) continue;
    const [pre, suf, mid] = markers;
    const bos = tokenizer.encode("", { bos: true });
    return {
      prompt: (context) => [
        ...bos,
        pre,
        ...encoded(tokenizer, context.prefix),
        suf,
        // CodeLlama: the suffix follows directly, without SentencePiece's space before it.
        ...encoded(tokenizer, context.suffix, true),
        mid,
      ],
      goesOn: false,
      stopIds: [
        ...new Set([...tokenizer.stopIds, pre, suf, mid, ...stops.flatMap((stop) => tokenizer.id(stop) ?? [])]),
      ],
    };
  }
  return undefined;
}

function ids(tokenizer: Tokenizer, tokens: readonly string[]): number[] | undefined {
  const found = tokens.flatMap((token) => tokenizer.id(token) ?? []);
  return found.length === tokens.length ? found : undefined;
}

function encoded(tokenizer: Tokenizer, text: string | readonly number[], continues = false): readonly number[] {
  return typeof text === "string" ? tokenizer.encode(text, { continues }) : text;
}

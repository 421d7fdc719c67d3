/** A tokenizer's vocabulary as every source gives it, checked: texts, kinds and what follows from them. */
import { shown } from "../messages.ts";
import { damaged } from "./fields.ts";

/**
 * normal: made by merging. control: steers the model, recognised in text only on request, stands for no text.
 * user: recognised in any text, stands for itself. byte: SentencePiece's fallback for one byte. unused: never made.
 */
export type TokenKind = "normal" | "control" | "user" | "byte" | "unused";

export interface Vocabulary {
  /** The text of each id as the file writes it. */
  readonly texts: readonly string[];
  readonly kinds: readonly TokenKind[];
  /** The first id of each text. */
  readonly idOf: ReadonlyMap<string, number>;
}

const MAX_TOKENS = 2 ** 22;
const MAX_ADDED_LENGTH = 512;

/** Fill-in-the-middle tokens; several converters forget to mark them as control tokens. */
const FIM_NAMES = /^(?:▁<(?:PRE|SUF|MID|EOT)>|<fim[_-](?:prefix|middle|suffix|pad)>)$/;

/** Whether a token that a file calls ordinary text is a control token by its looks, such as <|im_end|>. */
function looksLikeControl(text: string, kind: TokenKind): boolean {
  if (FIM_NAMES.test(text)) return true;
  return kind === "user" && /^<(?:\|.*\||｜.*｜)>$/s.test(text);
}

/** Checks and completes a vocabulary; throws bad-model where it is empty, enormous or absurd. */
export function vocabulary(texts: readonly string[], declaredKinds: readonly TokenKind[]): Vocabulary {
  if (texts.length === 0) throw damaged("it has no tokens");
  if (texts.length > MAX_TOKENS) throw damaged(`it has ${texts.length} tokens`);
  const idOf = new Map<string, number>();
  const kinds = texts.map((text, id) => {
    const declared = declaredKinds[id];
    const kind = looksLikeControl(text, declared) ? "control" : declared;
    if (kind !== "normal" && text.length > MAX_ADDED_LENGTH)
      throw damaged(`the special token ${shown(text)} is too long`);
    if (kind !== "unused" && !idOf.has(text)) idOf.set(text, id);
    return kind;
  });
  if (!kinds.includes("normal")) throw damaged("it has no ordinary tokens");
  return { texts, kinds, idOf };
}

/** Names of tokens that end an answer, a turn or a completion, whatever the file says of them. */
const STOP_NAMES = [
  "<|endoftext|>",
  "<|im_end|>",
  "<|end|>",
  "<|end_of_text|>",
  "<|eot_id|>",
  "<|eom_id|>",
  "<|EOT|>",
  "<｜end▁of▁sentence｜>",
  "<end_of_turn>",
  "▁<EOT>",
  "<|eot|>",
];

/** The ids that end a generation: those the source names, and the well-known ones among the control tokens. */
export function stopIds(vocabulary: Vocabulary, named: readonly (number | undefined)[]): number[] {
  const known = STOP_NAMES.map((name) => vocabulary.idOf.get(name)).filter(
    (id) => id !== undefined && vocabulary.kinds[id] === "control",
  );
  return [...new Set([...named, ...known])].filter((id) => id !== undefined).sort((a, b) => a - b);
}

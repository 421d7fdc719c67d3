/**
 * Completes code at the cursor: greedy, for any model that can fill in the middle. What the model says is mixed with what
 * the repository said after the same text before (copier.ts) and with the names it has for a word that is begun (names.ts);
 * a sure proposal is read ahead in one run, as a draft.
 */
import { LongsightError } from "../errors.ts";
import type { CompletionPlace } from "../memory/memory-context.ts";
import type { MemoryTrace } from "../memory/trace.ts";
import { fillInTheMiddle } from "../models/fim.ts";
import type { Tokenizer } from "../models/types.ts";
import type { RoutedMemory } from "../runtime/hybrid-routing.ts";
import type { DraftReader } from "../runtime/reader.ts";
import { pathInLanguage } from "../workspace/languages.ts";
import { type CursorContext, leadingLines, lineEnding, trailingLines, withPlainLineEnds } from "./context.ts";
import { Copier } from "./copier.ts";
import { type CopyIndex, MAX_MATCH } from "./copy-index.ts";
import { completionEnd, LineLikelihood, withoutSuffixOverlap } from "./end.ts";
import { likeliest } from "./mixture.ts";
import type { NameIndex } from "./name-index.ts";
import { Names } from "./names.ts";
import { bytesBehind, likeliestBeginning, NO_PIECE, openingOf } from "./opening.ts";
import { completesSecret, shownSafely } from "./secrets.ts";
import { SyntaxEnd } from "./syntax-end.ts";

/** What a completion may see of the repository beside the text around the cursor. */
export interface RepositoryContext {
  /** Undefined where there is nothing to see. */
  memoryFor(place: CompletionPlace): (RoutedMemory & { trace(): MemoryTrace }) | undefined;
}

export interface CompleteOptions {
  /** The longest completion, in tokens. */
  readonly maxTokens: number;
  /** Observed between two session runs. */
  readonly signal?: AbortSignal;
  /** Models without memory layers do without. */
  readonly repository?: RepositoryContext;
  /** Text to copy from, beside the open file; false: nothing is copied from either. */
  readonly copies?: CopyIndex | false;
  /** Names to finish words with, beside the open file's; none are used where nothing is copied. */
  readonly names?: NameIndex;
  /** Whether copied text is read several tokens at a time (the default); the result is the same. */
  readonly drafts?: boolean;
  /** Called with the completion so far, which each call replaces; the result may be shorter than the last one. */
  readonly onText?: (text: string) => void;
}

export interface Completion {
  /** What to insert at the cursor, with the file's own line endings; "" where the model has nothing to say. */
  readonly text: string;
  /** Tokens generated. */
  readonly nTokens: number;
  /** The model ended it, its line or block was complete, maxTokens was reached, or it was a secret: then it is "". */
  readonly stoppedBy: "model" | "end" | "length" | "secret";
  /** About how likely the first line that is not blank is right as a whole, 0 .. 1: low where it is a mere guess. */
  readonly confidence: number;
  readonly timingsMs: { readonly prompt: number; readonly total: number };
  readonly promptTokens: PromptTokens;
  /** What was looked at of the repository's memory, null where there is none. */
  readonly memory: MemoryTrace | null;
}

/** What a prompt's tokens are spent on. */
export interface PromptTokens {
  readonly prefix: number;
  readonly suffix: number;
  /** The path and the markers. */
  readonly frame: number;
}

/** A prompt is never longer than this: more text around the cursor costs time and changes little. */
const MAX_PROMPT_TOKENS = 1024;

/** What is told of the text behind the cursor, in tokens: as much as the default model was trained with. */
const SUFFIX_TOKENS = 128;

/** The path and the markers take this much of a prompt at most. */
const MAX_PATH_CHARS = 200;

/** A proposal that is less sure than this is not worth reading ahead: taking it back costs about one more token. */
const MIN_DRAFT_SHARE = 0.6;
const MAX_DRAFT_TOKENS = 12;

/** A file's imports stand in so many characters at its beginning. */
const HEAD_CHARS = 20_000;

/**
 * Completes at the cursor. Calls that only append to the prefix read only what is new. Errors: unsupported for a model
 * that cannot fill in the middle, cancelled.
 */
export async function completeAt(
  model: DraftReader,
  tokenizer: Tokenizer,
  context: CursorContext,
  { maxTokens, signal, repository, copies, names, drafts = true, onText }: CompleteOptions,
): Promise<Completion> {
  const startedAt = performance.now();
  const asked = completionPrompt(model.contextLength, tokenizer, context, maxTokens);
  const { ids: promptIds, stopIds, goesOn, place, promptTokens } = asked;
  const { path, languageId, prefix, suffix } = withPlainLineEnds(context);
  const memory = repository?.memoryFor(place);

  using syntax = new SyntaxEnd(pathInLanguage(path, languageId), prefix);
  const copier = copies === false ? undefined : new Copier(tokenizer, { path, prefix, suffix }, copies);
  const finisher = copies === false ? undefined : new Names(tokenizer, { path, prefix, suffix }, names);
  let copyContext: Uint8Array = new TextEncoder().encode(prefix.slice(-MAX_MATCH));
  // Where the cursor stands behind an indentation, the editor has chosen it.
  const isIndented = /(?:^|\n)[ \t]+$/.test(prefix.slice(-MAX_MATCH));
  /** The copier's comes last, and so has its whole share: the longer the text that agrees, the better it knows. */
  const propose = (text: string) => {
    // No name begins with the rest of a character.
    const name = endsInCharacter(copyContext) ? undefined : finisher?.propose(text);
    return [name, copier?.propose(copyContext, text === "" && isIndented)].filter((one) => one !== undefined);
  };
  let proposals = propose("");
  let draft: readonly number[] = [];
  /** The logits behind the ids, and behind what is likely to follow, in one run: first `piece`, then a sure proposal. */
  const read = async (nLeft: number, piece: readonly number[] = []) => {
    const sure = drafts
      ? proposals.findLast((one) => one.share * Math.max(...one.texts.values()) >= MIN_DRAFT_SHARE)
      : undefined;
    draft = (sure?.ids ?? []).slice(0, Math.min(MAX_DRAFT_TOKENS, nLeft - 1));
    return await model.readDraft(ids, [...piece, ...draft], { signal, memory });
  };
  const opening = goesOn ? openingOf(tokenizer, promptIds, prefix) : NO_PIECE;
  const { piece } = opening;
  const ids = promptIds.slice(0, promptIds.length - piece.length);
  let rows = await read(maxTokens, piece);
  /** The first token, which may begin in the piece before the cursor. */
  const beginning =
    piece.length === 0
      ? { nKept: 0, ...likeliest(rows[0], proposals) }
      : likeliestBeginning(tokenizer, opening, rows.slice(0, piece.length + 1), proposals);
  ids.push(...piece.slice(0, beginning.nKept));
  rows = rows.slice(piece.length);
  if (beginning.nKept < piece.length) draft = [];
  const prompt = performance.now() - startedAt;
  // Half a character at the end stays inside and is never given out.
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const restored = (text: string) => (lineEnding(context) === "\n" ? text : text.replaceAll("\n", "\r\n"));
  const finished = (text: string, nTokens: number, stoppedBy: Completion["stoppedBy"]): Completion => ({
    text: restored(withoutSuffixOverlap(text, suffix)),
    nTokens,
    stoppedBy,
    confidence: text.trim() === "" ? 0 : likelihood.first,
    timingsMs: { prompt, total: performance.now() - startedAt },
    promptTokens,
    memory: memory?.trace() ?? null,
  });

  let text = "";
  const likelihood = new LineLikelihood();
  for (let nTokens = 0; nTokens < maxTokens; nTokens++) {
    const isFirst = nTokens === 0;
    const { id, probability } = isFirst ? beginning : likeliest(rows[0], proposals);
    // A control token ends the middle too, whatever it is: it stands for no text.
    if (stopIds.includes(id) || tokenizer.bytes(id).length === 0) {
      return finished(text, nTokens, "model");
    }
    const bytes = isFirst ? bytesBehind(tokenizer, opening, beginning) : tokenizer.bytes(id);
    const before = text;
    text += decoder.decode(bytes, { stream: true });
    const guessed = likelihood.add(before, text, probability);
    if (guessed !== undefined) return finished(text.slice(0, guessed), nTokens + 1, "end");
    if (completesSecret(prefix, text, suffix)) return finished("", nTokens + 1, "secret");
    const end = completionEnd(prefix, suffix, text, syntax);
    if (end !== undefined) return finished(text.slice(0, end), nTokens + 1, "end");
    onText?.(restored(shownSafely(text)));
    ids.push(id);
    copyContext = Buffer.concat([copyContext, bytes]);
    proposals = propose(text);
    if (nTokens + 1 === maxTokens) break;
    if (id === draft[0]) [rows, draft] = [rows.slice(1), draft.slice(1)];
    else rows = await read(maxTokens - nTokens - 1);
  }
  return finished(text, maxTokens, "length");
}

/** What a model is asked for a completion. */
export interface CompletionPrompt {
  readonly ids: number[];
  /** Ids that end the completion. */
  readonly stopIds: readonly number[];
  /** Whether it may begin inside the prompt's last word. */
  readonly goesOn: boolean;
  readonly promptTokens: PromptTokens;
  readonly place: CompletionPlace;
}

/** The prompt for a completion of up to `maxTokens`. Errors: as `completeAt`. */
export function completionPrompt(
  contextLength: number,
  tokenizer: Tokenizer,
  context: CursorContext,
  maxTokens: number,
): CompletionPrompt {
  const fim = fillInTheMiddle(tokenizer);
  if (fim === undefined) {
    throw new LongsightError("unsupported", "This model cannot complete code at a cursor; choose a code model.");
  }
  const { path, languageId, prefix, suffix, startLine = 1 } = withPlainLineEnds(context);
  const shownPath = pathInLanguage(path, languageId).slice(-MAX_PATH_CHARS);
  const shown = { path: shownPath, suffix: leadingLines(tokenizer, suffix, SUFFIX_TOKENS) };
  if (!Number.isInteger(maxTokens) || maxTokens < 1) {
    throw new LongsightError("bad-input", `A completion of ${maxTokens} tokens is not possible; ask for one or more.`);
  }
  const budget = Math.min(contextLength, MAX_PROMPT_TOKENS) - maxTokens;
  const nAround = fim.prompt({ ...shown, prefix: "" }).length;
  if (budget - nAround < 1) {
    throw new LongsightError(
      "bad-input",
      `A completion of ${maxTokens} tokens leaves no room for the text; ask for less.`,
    );
  }
  const shownPrefix = trailingLines(tokenizer, prefix, budget - nAround);
  const cursorLine = startLine + lineBreaks(prefix);
  const ids = fim.prompt({ ...shown, prefix: shownPrefix });
  const frame = fim.prompt({ ...shown, prefix: "", suffix: "" }).length;
  return {
    ids,
    promptTokens: { prefix: ids.length - nAround, suffix: nAround - frame, frame },
    stopIds: fim.stopIds,
    goesOn: fim.goesOn,
    place: {
      path,
      head: (prefix + suffix).slice(0, HEAD_CHARS),
      cursorLine,
      firstLine: cursorLine - lineBreaks(shownPrefix),
      lastLine: cursorLine + lineBreaks(shown.suffix),
    },
  };
}

/** Whether a text's last character is not all there. */
const endsInCharacter = (text: Uint8Array) => new TextDecoder().decode(text.subarray(-4)).endsWith("\ufffd");

const lineBreaks = (text: string) => text.split("\n").length - 1;

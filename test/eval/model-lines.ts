/**
 * Completing held-out lines as the product does: with and without the repository's memory, with and without copying; whole
 * lines behind their indentation, and the rest of a line behind any of its characters.
 */
import { completeAt } from "../../engine/complete/complete.ts";
import type { CursorContext } from "../../engine/complete/context.ts";
import { CopyIndex } from "../../engine/complete/copy-index.ts";
import { NameIndex } from "../../engine/complete/name-index.ts";
import type { ModelTokenizer } from "../../engine/models/tokenizer/tokenizer.ts";
import type { HybridDecoder } from "../../engine/runtime/hybrid.ts";
import { HybridReader } from "../../engine/runtime/hybrid-reader.ts";
import { suggestionOf } from "../../extension/completion/filters/index.ts";
import { median } from "../bench/rows.ts";
import { heldOutLines, type Remembered, randomNumbers } from "./memory.ts";

const MAX_TOKENS = 48;

/** At least so many characters of a line are left to complete. */
const MIN_REST = 4;

const WAYS = ["bare", "memory", "copier", "both"] as const;
export type Way = (typeof WAYS)[number];

/** Lines with names from other files are rarely right as a whole: so many times as many tell what memory is worth for them. */
const CROSS_FILE_TIMES = 4;
const COMPARED: readonly Way[] = ["bare", "memory"];

export interface LineFigures {
  /** Completions whose first line is the held-out one. */
  exact: number;
  /** Lines with a name that their own file has nowhere else and another file of the repository has; those right. */
  crossLines: number;
  crossExact: number;
  /** The same of the rest of such a line, and of that of any line. */
  crossRestExact: number;
  restExact: number;
  /** Rests of lines with a suggestion that the editor would show, and those of them that are right. */
  restShown: number;
  restShownExact: number;
}

export interface LineResult {
  readonly lines: number;
  /** Lines whose rest was completed in all ways. */
  readonly rests: number;
  readonly ways: Readonly<Record<Way, LineFigures>>;
  /** The median time of a whole completion with both, its prompt read anew. */
  readonly p50Ms: number;
}

/**
 * As many ordinary lines as lines with names from other files, `nLines` of each; of all of them the rest as well. Of the latter
 * more by the model alone and with memory.
 */
export async function lineCompletion(
  decoder: HybridDecoder,
  tokenizer: ModelTokenizer,
  sources: readonly Remembered[],
  nLines: number,
  onDone: () => void,
): Promise<LineResult> {
  const none = (): LineFigures => ({
    exact: 0,
    crossLines: 0,
    crossExact: 0,
    crossRestExact: 0,
    restExact: 0,
    restShown: 0,
    restShownExact: 0,
  });
  const ways = { bare: none(), memory: none(), copier: none(), both: none() };
  const times: number[] = [];
  let [lines, rests] = [0, 0];
  for (const { repository, memory } of sources) {
    const copies = new CopyIndex();
    const names = new NameIndex();
    for (const { path, text } of repository.files.values()) {
      copies.set(path, new TextEncoder().encode(text));
      names.set(path, text);
    }
    const random = randomNumbers(3);
    const share = Math.ceil(nLines / sources.length);
    const candidates = heldOutLines(repository, 160 * share, random);
    const cross = candidates.filter(({ isCrossFile }) => isCrossFile).slice(0, CROSS_FILE_TIMES * share);
    const ordinary = candidates.filter(({ isCrossFile }) => !isCrossFile).slice(0, share);
    for (const [at, { context, line, isCrossFile }] of [...ordinary, ...cross].entries()) {
      const isMore = at >= ordinary.length + share;
      await memory.update([...repository.files.values()].filter(({ path }) => path !== context.path));
      names.remove(context.path);
      const cut = 1 + Math.floor(random() * Math.max(line.length - MIN_REST, 1));
      const begun = { ...context, prefix: context.prefix + line.slice(0, cut) };
      for (const way of isMore ? COMPARED : WAYS) {
        const complete = (at: CursorContext) =>
          completeAt(new HybridReader(decoder), tokenizer, at, {
            maxTokens: MAX_TOKENS,
            repository: way === "memory" || way === "both" ? memory : undefined,
            copies: way === "copier" || way === "both" ? copies : false,
            names,
          });
        const whole = await complete(context);
        if (way === "both") times.push(whole.timingsMs.total);
        if (isCrossFile) ways[way].crossLines++;
        if (firstLine(whole.text) === line) ways[way][isCrossFile ? "crossExact" : "exact"]++;
        const rest = await complete(begun);
        const isRight = firstLine(rest.text) === line.slice(cut);
        if (isRight && isCrossFile) ways[way].crossRestExact++;
        if (isMore) continue;
        if (isRight) ways[way].restExact++;
        if (suggestionOf(rest, begun) === "") continue;
        ways[way].restShown++;
        if (isRight) ways[way].restShownExact++;
      }
      names.set(context.path, repository.files.get(context.path)?.text ?? "");
      if (!isCrossFile) lines++;
      if (!isMore) rests++;
      onDone();
    }
    await memory.update(repository.files.values());
  }
  return { lines, rests, ways, p50Ms: median(times) };
}

const firstLine = (text: string) => text.split("\n")[0].trimEnd();

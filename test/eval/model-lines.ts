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

export interface LineFigures {
  /** Completions whose first line is the held-out one. */
  exact: number;
  /** Of lines with a name that their own file has nowhere else and another file of the repository has. */
  crossExact: number;
  /** The same two of the rest of a line; of all lines, and of the latter ones alone. */
  restExact: number;
  crossRestExact: number;
  /** Rests of lines with a suggestion that the editor would show, and those of them that are right. */
  restShown: number;
  restShownExact: number;
}

export interface LineResult {
  readonly lines: number;
  readonly crossLines: number;
  readonly ways: Readonly<Record<Way, LineFigures>>;
  /** The median time of a whole completion with both, its prompt read anew. */
  readonly p50Ms: number;
}

/** As many ordinary lines as lines with names from other files, `nLines` of each; of all of them the rest as well. */
export async function lineCompletion(
  decoder: HybridDecoder,
  tokenizer: ModelTokenizer,
  sources: readonly Remembered[],
  nLines: number,
  onDone: () => void,
): Promise<LineResult> {
  const none = (): LineFigures => ({
    exact: 0,
    crossExact: 0,
    restExact: 0,
    crossRestExact: 0,
    restShown: 0,
    restShownExact: 0,
  });
  const ways = { bare: none(), memory: none(), copier: none(), both: none() };
  const times: number[] = [];
  let [lines, crossLines] = [0, 0];
  for (const { repository, memory } of sources) {
    const copies = new CopyIndex();
    const names = new NameIndex();
    for (const { path, text } of repository.files.values()) {
      copies.set(path, new TextEncoder().encode(text));
      names.set(path, text);
    }
    const random = randomNumbers(3);
    const share = Math.ceil(nLines / sources.length);
    const candidates = heldOutLines(repository, 40 * share, random);
    const cross = candidates.filter(({ isCrossFile }) => isCrossFile).slice(0, share);
    const ordinary = candidates.filter(({ isCrossFile }) => !isCrossFile).slice(0, share);
    for (const { context, line, isCrossFile } of [...ordinary, ...cross]) {
      await memory.update([...repository.files.values()].filter(({ path }) => path !== context.path));
      names.remove(context.path);
      const cut = 1 + Math.floor(random() * Math.max(line.length - MIN_REST, 1));
      const begun = { ...context, prefix: context.prefix + line.slice(0, cut) };
      for (const way of WAYS) {
        const complete = (at: CursorContext) =>
          completeAt(new HybridReader(decoder), tokenizer, at, {
            maxTokens: MAX_TOKENS,
            repository: way === "memory" || way === "both" ? memory : undefined,
            copies: way === "copier" || way === "both" ? copies : false,
            names,
          });
        const whole = await complete(context);
        if (way === "both") times.push(whole.timingsMs.total);
        if (firstLine(whole.text) === line) ways[way][isCrossFile ? "crossExact" : "exact"]++;
        const rest = await complete(begun);
        const isRight = firstLine(rest.text) === line.slice(cut);
        if (isRight) ways[way].restExact++;
        if (isRight && isCrossFile) ways[way].crossRestExact++;
        if (suggestionOf(rest, begun) === "") continue;
        ways[way].restShown++;
        if (isRight) ways[way].restShownExact++;
      }
      names.set(context.path, repository.files.get(context.path)?.text ?? "");
      if (isCrossFile) crossLines++;
      else lines++;
      onDone();
    }
    await memory.update(repository.files.values());
  }
  return { lines, crossLines, ways, p50Ms: median(times) };
}

const firstLine = (text: string) => text.split("\n")[0].trimEnd();

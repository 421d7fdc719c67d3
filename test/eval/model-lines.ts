/** Completing held-out lines as the product does: with and without the repository's memory, with and without copying. */
import { completeAt } from "../../engine/complete/complete.ts";
import { CopyIndex } from "../../engine/complete/copy-index.ts";
import type { ModelTokenizer } from "../../engine/models/tokenizer/tokenizer.ts";
import type { HybridDecoder } from "../../engine/runtime/hybrid.ts";
import { HybridReader } from "../../engine/runtime/hybrid-reader.ts";
import { median } from "../bench/rows.ts";
import { heldOutLines, randomNumbers } from "./memory.ts";
import type { Remembered } from "./model-needles.ts";

const MAX_TOKENS = 48;

export interface LineFigures {
  /** Lines that came out exactly. */
  exact: number;
  /** Of lines with a name that their own file has nowhere else and another file of the repository has. */
  crossExact: number;
}

export interface LineResult {
  readonly lines: number;
  readonly crossLines: number;
  readonly bare: LineFigures;
  readonly memory: LineFigures;
  readonly copier: LineFigures;
  readonly both: LineFigures;
  /** The median time of a whole completion with both, its prompt read anew. */
  readonly p50Ms: number;
}

/** As many ordinary lines as lines with names from other files, `nLines` of each. */
export async function lineCompletion(
  decoder: HybridDecoder,
  tokenizer: ModelTokenizer,
  sources: readonly Remembered[],
  nLines: number,
  onDone: () => void,
): Promise<LineResult> {
  const figures = (): LineFigures => ({ exact: 0, crossExact: 0 });
  const result = { bare: figures(), memory: figures(), copier: figures(), both: figures() };
  const times: number[] = [];
  let [lines, crossLines] = [0, 0];
  for (const { repository, memory } of sources) {
    const copies = new CopyIndex();
    for (const { path, text } of repository.files.values()) copies.set(path, new TextEncoder().encode(text));
    const random = randomNumbers(3);
    const share = Math.ceil(nLines / sources.length);
    const candidates = heldOutLines(repository, 40 * share, random);
    const cross = candidates.filter(({ isCrossFile }) => isCrossFile).slice(0, share);
    const ordinary = candidates.filter(({ isCrossFile }) => !isCrossFile).slice(0, share);
    for (const { context, line, isCrossFile } of [...ordinary, ...cross]) {
      await memory.update([...repository.files.values()].filter(({ path }) => path !== context.path));
      for (const name of ["bare", "memory", "copier", "both"] as const) {
        const { text, timingsMs } = await completeAt(new HybridReader(decoder), tokenizer, context, {
          maxTokens: MAX_TOKENS,
          repository: name === "memory" || name === "both" ? memory : undefined,
          copies: name === "copier" || name === "both" ? copies : false,
        });
        if (name === "both") times.push(timingsMs.total);
        // Behind the indentation that is there already.
        if (text.split("\n")[0].trimEnd() !== line) continue;
        if (isCrossFile) result[name].crossExact++;
        else result[name].exact++;
      }
      if (isCrossFile) crossLines++;
      else lines++;
      onDone();
    }
    await memory.update(repository.files.values());
  }
  return { lines, crossLines, ...result, p50Ms: median(times) };
}

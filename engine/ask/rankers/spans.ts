/** A file is as good as its best span; a second good span tells a file about the topic from one that mentions it. */
import type { Ranker } from "../evidence.ts";

const nthSpan =
  (n: number): Ranker =>
  ({ spansByFile }) =>
    new Map([...spansByFile].flatMap(([file, spans]) => (spans[n] ? [[file, spans[n].score]] : [])));

export const bestSpan: Ranker = nthSpan(0);
export const secondSpan: Ranker = nthSpan(1);

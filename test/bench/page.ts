/** docs/benchmarks.md: one section for each benchmark, with the machine it ran on. A run replaces its own section. */
import { cpus, loadavg, platform, release, totalmem } from "node:os";
import { type Row, rowsAsMarkdown } from "./rows.ts";

const HEAD = `# Benchmarks

Written by \`npm run bench\`. Where two sides are compared they take turns, so that other work on the machine falls on both. Values of
rounds are their median, ratios those of the medians; of the rounds, or of each round's ratio, half lie between the two numbers beside them.
`;

/** A machine whose threads have more to do than this does not tell how two programs compare. */
const BUSY_SHARE = 0.5;

/** The machine, and what else it was doing: `load` is how many threads wanted to run. */
export function machine(load = loadavg()[0]): string {
  const nThreads = cpus().length;
  const model = cpus()[0]?.model.trim() ?? "an unknown processor";
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  const where = `${nThreads} threads of ${model}, ${memory}, ${platform()} ${release()}, Node ${process.version}`;
  const what = `${where}; load when it began: ${load.toFixed(1)}.`;
  if (load <= BUSY_SHARE * nThreads) return what;
  return `${what} **It did other work too**: all times are too long, and those of llama.cpp, whose threads wait awake for each other, much more so than ours, so that ratios over it are too high.`;
}

/** The page with a benchmark's section written anew; `old` is the page before, empty at first. */
export function benchmarksPage(old: string, name: string, where: string, rows: readonly Row[]): string {
  const sections = new Map(
    old
      .split(/^## /m)
      .slice(1)
      .map((text) => [text.slice(0, text.indexOf("\n")), `## ${text.trimEnd()}\n`]),
  );
  const title = `\`npm run bench -- ${name}\``;
  sections.set(title, [`## ${title}`, "", where, "", ...rowsAsMarkdown(rows), ""].join("\n"));
  return [HEAD, ...[...sections.keys()].sort().map((key) => sections.get(key))].join("\n");
}

/** docs/benchmarks.md: one section for each benchmark, with the machine it ran on. A run replaces its own section. */
import { cpus, loadavg, platform, release, totalmem } from "node:os";
import { type Row, rowsAsMarkdown } from "./rows.ts";

const HEAD = `# Benchmarks

Written by \`npm run bench\`. Where two sides are compared they take turns, so that other work on the machine falls on both; the value is
then the median of all rounds, and half of the rounds lie between the two numbers beside it.
`;

/** The machine, and what else it was doing. */
export function machine(): string {
  const model = cpus()[0]?.model.trim() ?? "an unknown processor";
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  const load = loadavg()[0].toFixed(1);
  return `${cpus().length} threads of ${model}, ${memory}, ${platform()} ${release()}, Node ${process.version}; load when it began: ${load}.`;
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

/**
 * Writes what the scenarios of the workbench tests came to into docs/scenarios.md, where LONGSIGHT_SCENARIOS=1 asks for it. A
 * run that chose some of them replaces only those.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";

const PAGE = "docs/scenarios.md";
const SOURCES = /[\\/]e2e[\\/](workbench\.test|scenarios[\\/]\w+)\.ts$/;
const HEAD = `# Scenarios in a real workbench

Written by \`LONGSIGHT_SCENARIOS=1 npm test\`: the packed extension is installed in VS Code's workbench (code-server) and driven through its
page, as a user does it.
`;

export default async function* scenarios(events) {
  const sections = existsSync(PAGE) ? sectionsOf(readFileSync(PAGE, "utf8")) : new Map();
  let cases = [];
  for await (const { type, data } of events) {
    if ((type !== "test:pass" && type !== "test:fail") || !SOURCES.test(data.file ?? "")) continue;
    const seconds = `${(data.details.duration_ms / 1000).toFixed(1)} s`;
    const result = type === "test:pass" ? `passed, ${seconds}` : "**failed**";
    if (data.nesting === 2) cases.push([data.name, result]);
    if (data.nesting !== 1) continue;
    if (data.skip === undefined) {
      sections.set(data.name, tableOf([["what", "result"], ...cases]));
    } else if (data.skip !== "not chosen") sections.set(data.name, `Skipped: ${data.skip}.`);
    cases = [];
  }
  if (sections.size === 0) return;
  const text = [...sections].map(([name, body]) => `\n## ${name}\n\n${body}\n`);
  writeFileSync(PAGE, HEAD + text.join(""));
}

/** Rows of two cells as the formatter has them, the first one the head. */
function tableOf(rows) {
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column].length)));
  const lined = ([a, b]) => `| ${a.padEnd(widths[0])} | ${b.padEnd(widths[1])} |`;
  const [head, ...body] = rows.map(lined);
  return [head, lined(widths.map((width) => "-".repeat(width))), ...body].join("\n");
}

/** The page's scenarios, by name. */
function sectionsOf(page) {
  const parts = page.split(/^## /m).slice(1);
  return new Map(parts.map((part) => [part.slice(0, part.indexOf("\n")), part.slice(part.indexOf("\n")).trim()]));
}

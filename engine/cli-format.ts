/** Results as a person reads them in a terminal. */
import type { AskResult, EncodingResult, IndexResult, ModelReport } from "./engine.ts";

const count = new Intl.NumberFormat("en-US");
const plural = (n: number, one: string, many = `${one}s`) => `${count.format(n)} ${n === 1 ? one : many}`;

/** Lines of code shown below a citation. */
const SHOWN_LINES = 6;

/** The answer, then each source with its first lines, and what it is about where they do not show it. */
export function formatAsk({ found, answer, citations, model, timingsMs }: AskResult): string {
  const sources = citations.map(({ file, startLine, endLine, symbol, signature, doc, text }, index) => {
    const place = `[${index + 1}] ${file}:${startLine}-${endLine}${symbol ? `  ${symbol}` : ""}`;
    const lines = text.split("\n");
    const code = lines.slice(0, SHOWN_LINES).map((line) => `      ${line}`);
    const rest = lines.length > SHOWN_LINES ? [`      ... ${plural(lines.length - SHOWN_LINES, "more line")}`] : [];
    // What the shown lines say already is not said twice.
    const about = [doc?.split("\n")[0], signature].find((line) => line && !text.includes(line.trim()));
    return [place, ...(about ? [`    ${about}`] : []), ...code, ...rest].join("\n");
  });
  const how = !found ? "searched" : model === "extractive" ? "quoted from the folder" : `written by ${model}`;
  const footer = `(${how}; index ${seconds(timingsMs.index)}, citations after ${seconds(timingsMs.citations)}, all ${seconds(timingsMs.total)})`;
  return [answer, ...sources, footer].join("\n\n");
}

export function formatIndex(result: IndexResult): string {
  const { files, indexed, unchanged, removed, skipped, nTokensAbout, ms } = result;
  const left = Object.entries(skipped).map(([reason, n]) => `${count.format(n)} ${reason}`);
  const lines = [
    `${plural(files, "file")} indexed, about ${count.format(nTokensAbout)} tokens, in ${seconds(ms)}`,
    `  ${count.format(indexed)} new or changed, ${count.format(unchanged)} unchanged, ${count.format(removed)} removed`,
  ];
  if (left.length > 0) lines.push(`  left out: ${left.join(", ")}`);
  return lines.join("\n");
}

export function formatEncode({ filesEncoded, tokensEncoded, filesLeft, isFull, ms }: EncodingResult): string {
  const rate = tokensEncoded > 0 ? `, ${count.format(Math.round((1000 * tokensEncoded) / ms))} tokens/s` : "";
  const lines = [
    `${plural(filesEncoded, "file")} encoded, ${count.format(tokensEncoded)} tokens, in ${seconds(ms)}${rate}`,
  ];
  if (filesLeft > 0) lines.push(`  left out, changed meanwhile: ${count.format(filesLeft)}`);
  if (isFull) lines.push("  the memory is full: the other files are left out");
  return lines.join("\n");
}

/** A report as indented lines: nested values below their names. */
export function formatInspect(report: ModelReport): string {
  return outline(report, "").join("\n");
}

function outline(value: object, indent: string): string[] {
  return Object.entries(value).flatMap(([key, part]) => {
    if (part === null || part === undefined) return [];
    const name = `${indent}${spaced(key)}:`;
    if (Array.isArray(part) && part.every((item) => typeof item !== "object")) return [`${name} ${part.join(", ")}`];
    if (typeof part === "object") return [name, ...outline(part, `${indent}  `)];
    return [`${name} ${typeof part === "number" ? formatNumber(key, part) : part}`];
  });
}

function formatNumber(key: string, value: number): string {
  if (/bytes/i.test(key)) return bytes(value);
  return Number.isInteger(value) ? count.format(value) : value.toPrecision(3);
}

/** contextLength -> context length */
const spaced = (key: string) => key.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

function bytes(value: number): string {
  if (value < 1e6) return `${(value / 1e3).toFixed(1)} kB`;
  return value < 1e9 ? `${(value / 1e6).toFixed(1)} MB` : `${(value / 1e9).toFixed(2)} GB`;
}

function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

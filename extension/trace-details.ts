/** What the diagnostics panel is told of a request, from its parameters and its result. */
import { basename } from "node:path";
import type { AskResult, CompleteResult } from "../engine/protocol.ts";
import type { Trace } from "../webview/diagnostics-messages.ts";

/** About: characters of code in one token. */
const CHARS_PER_TOKEN = 3.5;

/** A question or a path, and the folder it is about. */
export function describeParams(params: unknown): { subject: string; folder: string | null } {
  const { question, path, folder } = (params ?? {}) as { question?: string; path?: string; folder?: string };
  return { subject: question ?? path ?? basename(folder ?? ""), folder: folder ?? null };
}

/** Takes into the trace what the result says about times, tokens and places. */
export function describeResult(trace: Trace, result: unknown): void {
  const { timingsMs, nTokens, promptTokens, memory, citations } = (result ?? {}) as Partial<CompleteResult & AskResult>;
  trace.nTokens = nTokens ?? null;
  trace.stages = stagesOf(timingsMs ?? {});
  trace.memory = memory ?? null;
  if (promptTokens) {
    trace.budget = Object.entries(promptTokens).map(([source, n]) => ({ source, nTokens: n, isAbout: false }));
  }
  if (citations) {
    trace.places = citations.map(({ file, startLine, endLine, score }) => ({ path: file, startLine, endLine, score }));
    trace.budget = citations.map(({ file, startLine, text }) => ({
      source: `${file}:${startLine}`,
      nTokens: Math.ceil(text.length / CHARS_PER_TOKEN),
      isAbout: true,
    }));
  }
}

/** Each timing counts from the call to its stage's end; the panel shows what every stage took. */
function stagesOf(timingsMs: Readonly<Record<string, number>>): Trace["stages"] {
  let before = 0;
  return Object.entries(timingsMs).map(([name, end]) => {
    const ms = Math.max(0, end - before);
    before = end;
    return { name: name === "total" ? "text" : name, ms };
  });
}

/** Results as a person reads them in a terminal. */
import type {
  AskResult,
  CheckReport,
  EncodingResult,
  IndexResult,
  InspectResult,
  ModelReport,
  PullResult,
  PushResult,
} from "./engine.ts";

const count = new Intl.NumberFormat("en-US");
const plural = (n: number, one: string, many = `${one}s`) => `${count.format(n)} ${n === 1 ? one : many}`;

/** Lines of code shown below a citation. */
const SHOWN_LINES = 6;

/** The answer, then each source with its first lines, and what it is about where they do not show it. */
export function formatAsk({ found, answer, citations, model, memory, timingsMs }: AskResult): string {
  const sources = citations.map(({ file, startLine, endLine, symbol, signature, doc, text }, index) => {
    const place = `[${index + 1}] ${file}:${startLine}-${endLine}${symbol ? `  ${symbol}` : ""}`;
    const lines = text.split("\n");
    const code = lines.slice(0, SHOWN_LINES).map((line) => `      ${line}`);
    const rest = lines.length > SHOWN_LINES ? [`      ... ${plural(lines.length - SHOWN_LINES, "more line")}`] : [];
    // What the shown lines say already is not said twice.
    const about = [doc?.split("\n")[0], signature].find((line) => line && !text.includes(line.trim()));
    return [place, ...(about ? [`    ${about}`] : []), ...code, ...rest].join("\n");
  });
  const nRead = memory?.layers[0]?.blocks.length;
  const recalled =
    nRead === undefined ? "" : ` from ${plural(nRead, "block")} of ${count.format(memory!.nBlocks)} in memory`;
  const how = !found
    ? "searched"
    : model === "extractive"
      ? "quoted from the folder"
      : `written by ${model}${recalled}`;
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

export function formatPush({ pushed, present, bytes: sizeBytes }: PushResult): string {
  return `${plural(pushed, "segment")} pushed, ${bytes(sizeBytes)}; ${count.format(present)} were there already`;
}

export function formatPull({ pulled, absent, damaged, isFull }: PullResult): string {
  const left = damaged > 0 ? `, ${count.format(damaged)} were damaged and left out` : "";
  const full = isFull ? "\n  the memory is full: the other files are left out" : "";
  return `${plural(pulled, "segment")} pulled; ${count.format(absent)} have not been pushed${left}${full}`;
}

/** What was found of each way of reading under each plan, and what the model does from now on. */
export function formatCheck({ model, rows, chosen, isGuessing }: CheckReport): string {
  const lines = rows.map(({ way, plan, needles, crossFile, firstTokenMs, tokenMs, rssBytes }) => {
    const found = `${needles.right}/${needles.total} in one file, ${crossFile.right}/${crossFile.total} across files`;
    const times = `first token after ${seconds(firstTokenMs)}, then ${tokenMs.toFixed(1)} ms each`;
    return `  ${WAY_NAMES[way]}, plan ${plan}: ${found}; ${times}; ${bytes(rssBytes)} of RAM`;
  });
  const why = isGuessing ? ": no way did clearly better than guessing" : "";
  return [model, ...lines, `It reads repositories ${WAY_NAMES[chosen.way]}, plan ${chosen.plan}${why}.`].join("\n");
}

const WAY_NAMES = { memory: "from memory", packed: "as text" } as const;

/** What a model holds, what becomes of its weights, and what it needs: one line each. */
export function formatInspect(report: InspectResult): string {
  const { path, format, architecture, fileBytes, nParameters, tensorTypes, shape, tokenizer, conversion } = report;
  const { estimatedMemory: memory, reason } = report;
  const types = tensorTypes.map(({ type, nTensors, sizeBytes }) => `${nTensors} ${type} (${bytes(sizeBytes)})`);
  const lines = [
    path,
    `format: ${format}, architecture ${architecture ?? "not named"}`,
    `size: ${plural(nParameters, "parameter")}, ${bytes(fileBytes)} on disk`,
    `tensors: ${types.join(", ") || "none"}`,
  ];
  if (shape) lines.push(`shape: ${formatShape(shape)}`);
  if (tokenizer) lines.push(`tokenizer: ${formatTokenizer(tokenizer)}`);
  if (conversion) {
    const { cached, targets } = conversion;
    lines.push(`converted weights: ${cached ? "in the cache" : "not in the cache; the first start converts them"}`);
    for (const target of targets) lines.push(`  ${formatTarget(target)}`);
  }
  if (memory) {
    const more = memory.bytesPerToken > 0 ? `, and about ${bytes(memory.bytesPerToken)} for each token` : "";
    lines.push(`memory when loaded: about ${bytes(memory.weightsBytes)}${more}`);
  }
  if (report.reading) {
    const { way, plan, isChecked } = report.reading;
    const how = isChecked ? "as its check has found" : "not checked yet; check-model finds out what is best";
    lines.push(`reads repositories: ${WAY_NAMES[way]}, plan ${plan} (${how})`);
  }
  lines.push(`supported: ${reason === null ? "yes" : `no. ${reason}`}`);
  // Names out of a file must not steer the terminal.
  return lines.map((line) => line.replace(/\p{Cc}/gu, "\ufffd")).join("\n  ");
}

function formatShape(shape: NonNullable<ModelReport["shape"]>): string {
  const { nLayers, hiddenSize, ffnSize, nHeads, nKvHeads, headSize, vocabSize, contextLength } = shape;
  return [
    plural(nLayers, "layer"),
    `hidden size ${count.format(hiddenSize)}`,
    `feed-forward size ${count.format(ffnSize)}`,
    `${plural(nHeads, "head")} of ${headSize}, keys for ${nKvHeads}`,
    `vocabulary of ${count.format(vocabSize)}`,
    `context of ${plural(contextLength, "token")}`,
  ].join(", ");
}

function formatTokenizer(tokenizer: NonNullable<ModelReport["tokenizer"]>): string {
  const { kind, nTokens, hasChatTemplate, callsTools, fillsInTheMiddle } = tokenizer;
  const chat = hasChatTemplate ? `with a chat template${callsTools ? " for tools" : ""}` : "no chat template";
  return `${kind}, ${plural(nTokens, "token")}, ${chat}, ${fillsInTheMiddle ? "fills" : "does not fill"} in the middle`;
}

function formatTarget(target: NonNullable<ModelReport["conversion"]>["targets"][number]): string {
  const { precision, nTensors, sizeBytes, nRounded, relativeError, worst } = target;
  const what = `${precision}: ${plural(nTensors, "tensor")}, ${bytes(sizeBytes)}`;
  if (!worst) return `${what}, exact`;
  const error = `relative error ${relativeError.toPrecision(3)}, at most ${worst.relativeError.toPrecision(3)} in ${worst.tensor}`;
  return `${what}, ${nRounded === nTensors ? "all" : count.format(nRounded)} rounded: ${error}`;
}

function bytes(value: number): string {
  if (value < 1e6) return `${(value / 1e3).toFixed(1)} kB`;
  return value < 1e9 ? `${(value / 1e6).toFixed(1)} MB` : `${(value / 1e9).toFixed(2)} GB`;
}

function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

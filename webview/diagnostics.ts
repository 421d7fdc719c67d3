/** The diagnostics panel's page: what the engine did, how long it took, and what it looked at. */
import "@vscode-elements/elements/dist/vscode-badge/index.js";
import "@vscode-elements/elements/dist/vscode-collapsible/index.js";
import { durationText } from "./amounts.ts";
import { stackedBar } from "./bars.ts";
import type { EngineFacts, FromDiagnostics, ToDiagnostics, Trace } from "./diagnostics-messages.ts";
import { element } from "./element.ts";
import { drawHeatStrip } from "./heat-strip.ts";
import { quantile, tokensPerSecond } from "./statistics.ts";
import { Timeline } from "./timeline.ts";
import { drawTraining } from "./training-curve.ts";

declare function acquireVsCodeApi(): { postMessage(message: FromDiagnostics): void };

const editor = acquireVsCodeApi();
/** Rows of the list of requests. */
const MAX_ROWS = 60;
const MB = 1024 * 1024;

const ms = (value: number | null) =>
  value === null ? "–" : value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`;
const mb = (bytes: number | null) =>
  bytes === null ? "–" : bytes < MB ? `${Math.ceil(bytes / 1024)} KB` : `${(bytes / MB).toFixed(1)} MB`;
const count = (value: number | null) => (value === null ? "–" : value.toLocaleString());

class DiagnosticsPage {
  readonly #strings: Record<string, string>;
  readonly #traces = new Map<number, Trace>();
  readonly #timeline: Timeline;
  readonly #tiles = element("section", "tiles");
  readonly #list = element("tbody");
  readonly #details = element("section", "details");
  readonly #engine = element("section", "engine");
  /** Stays the same button while the facts around it are drawn anew, so that it keeps the focus. */
  readonly #pause = element("button", "pause", [], { type: "button" });
  #facts: EngineFacts;
  /** Undefined: the last one that has something to show. */
  #chosen: number | undefined;

  constructor({ strings, traces, facts, training }: Extract<ToDiagnostics, { type: "snapshot" }>) {
    this.#strings = strings;
    this.#facts = facts;
    this.#timeline = new Timeline(strings);
    const head = [strings.time, strings.request, strings.state, strings.firstText, strings.total, strings.speed];
    const table = element("table", "requests", [
      element("thead", "", [
        element(
          "tr",
          "",
          head.map((text) => element("th", "", [text], { scope: "col" })),
        ),
      ]),
      this.#list,
    ]);
    this.#pause.addEventListener("click", () => {
      editor.postMessage({ type: "pause", isPaused: !this.#facts.folders.some(({ isPaused }) => isPaused) });
    });
    document.body.replaceChildren(
      this.#tiles,
      section(strings.timeline, this.#timeline.node),
      section(strings.requests, element("div", "scroll", [table])),
      section(strings.chosen, this.#details),
      section(strings.engineAndStores, element("div", "", [this.#engine, this.#pause])),
      ...(training ? [section(strings.training, drawTraining(training, strings))] : []),
    );
    this.add(traces);
    this.setFacts(facts);
  }

  add(traces: readonly Trace[]): void {
    for (const trace of traces) this.#traces.set(trace.id, trace);
    const all = [...this.#traces.values()];
    this.#timeline.show(all);
    this.#drawTiles();
    this.#drawList(all);
    this.#drawDetails();
  }

  setFacts(facts: EngineFacts): void {
    this.#facts = facts;
    this.#drawTiles();
    this.#drawEngine();
  }

  #done(kind: string): Trace[] {
    return [...this.#traces.values()].filter((trace) => trace.kind === kind && trace.status === "done");
  }

  #drawTiles(): void {
    const { sources, state, rssBytes, shownAbout, accepted } = this.#facts;
    const strings = this.#strings;
    const totals = this.#done("complete").flatMap(({ totalMs }) => (totalMs === null ? [] : [totalMs]));
    const speeds = [...this.#traces.values()].map(tokensPerSecond).filter((value) => value !== null);
    const suggestions = sources.cache + sources.pending + sources.engine;
    const speed = quantile(speeds, 0.5);
    const tiles: [string, string, string][] = [
      [strings.engine, strings[state] ?? state, mb(rssBytes)],
      [strings.completionTime, ms(quantile(totals, 0.5)), `p95 ${ms(quantile(totals, 0.95))}`],
      [strings.speed, speed === null ? "–" : `${speed.toFixed(0)} /s`, strings.tokensNote],
      [
        strings.fromCache,
        suggestions === 0 ? "–" : `${Math.round((100 * (suggestions - sources.engine)) / suggestions)} %`,
        `${strings.suggestions}: ${suggestions}`,
      ],
      [strings.accepted, count(accepted), `${strings.ofAbout} ${count(shownAbout)} ${strings.shown}`],
    ];
    this.#tiles.replaceChildren(
      ...tiles.map(([name, value, note]) =>
        element("div", "tile", [
          element("span", "name", [name]),
          element("span", "big", [value]),
          element("span", "note", [note]),
        ]),
      ),
    );
  }

  #drawList(all: readonly Trace[]): void {
    const hadFocus = this.#list.contains(document.activeElement);
    const rows = all
      .slice(-MAX_ROWS)
      .reverse()
      .map((trace) => this.#row(trace));
    this.#list.replaceChildren(...rows);
    if (hadFocus) this.#list.querySelector<HTMLElement>('[aria-selected="true"]')?.focus();
  }

  #row(trace: Trace): HTMLTableRowElement {
    const speed = tokensPerSecond(trace);
    const badge = element("vscode-badge", "", [this.#strings[trace.status]]);
    const cells = [
      new Date(trace.startedAt).toLocaleTimeString(),
      `${trace.kind} ${trace.subject}`,
      badge,
      ms(trace.firstTextMs),
      ms(trace.totalMs),
      speed === null ? "–" : `${speed.toFixed(0)} /s`,
    ];
    const isChosen = trace.id === this.#shown()?.id;
    const row = element(
      "tr",
      `status-${trace.status}`,
      cells.map((cell) => element("td", "", [cell])),
      {
        tabindex: "0",
        "aria-selected": String(isChosen),
      },
    );
    const choose = () => {
      this.#chosen = trace.id;
      for (const other of this.#list.children) other.setAttribute("aria-selected", String(other === row));
      this.#drawDetails();
    };
    row.addEventListener("click", choose);
    row.addEventListener("keydown", ({ key }) => {
      if (key === "Enter" || key === " ") choose();
      else if (key === "ArrowDown") (row.nextElementSibling as HTMLElement | null)?.focus();
      else if (key === "ArrowUp") (row.previousElementSibling as HTMLElement | null)?.focus();
    });
    return row;
  }

  /** The request whose details are shown. */
  #shown(): Trace | undefined {
    if (this.#chosen !== undefined) return this.#traces.get(this.#chosen);
    return [...this.#traces.values()].findLast(
      ({ kind, status }) => status === "done" && (kind === "ask" || kind === "complete"),
    );
  }

  #drawDetails(): void {
    const trace = this.#shown();
    const strings = this.#strings;
    if (!trace) {
      this.#details.replaceChildren(element("p", "note", [strings.nothingYet]));
      return;
    }
    // Drawing a trace anew that has not changed would lose the place in the strip.
    const key = `${trace.id} ${trace.status}`;
    if (this.#details.dataset.key === key) return;
    this.#details.dataset.key = key;
    const open = (path: string, startLine: number, endLine: number) => {
      if (trace.folder) editor.postMessage({ type: "open", folder: trace.folder, file: path, startLine, endLine });
    };
    const parts: Node[] = [element("p", "subject", [`${trace.kind} ${trace.subject}`])];
    if (trace.stages.length > 0) {
      const stages = trace.stages.map(({ name, ms: value }) => ({
        name: strings[name] ?? name,
        value,
        text: ms(value),
      }));
      parts.push(heading(strings.whereTimeWent), stackedBar(stages, strings.whereTimeWent));
    }
    if (trace.budget.length > 0) {
      const budget = trace.budget.map(({ source, nTokens, isAbout }, index) => {
        const place = trace.places[index];
        const onOpen = place && (() => open(place.path, place.startLine, place.endLine));
        return {
          name: strings[source] ?? source,
          value: nTokens,
          text: `${isAbout ? strings.about : ""} ${nTokens}`,
          onOpen,
        };
      });
      parts.push(heading(strings.contextBudget), stackedBar(budget, strings.contextBudget));
    }
    if (trace.memory?.layers.some(({ blocks }) => blocks.length > 0)) {
      const { nBlocks, bytesRead, selectMs, layers } = trace.memory;
      const estimates = layers.flatMap(({ layer, estimatedRecall: share }) =>
        share === null ? [] : [`${strings.layer} ${layer} ${Math.round(100 * share)} %`],
      );
      parts.push(
        heading(strings.blocksRead),
        drawHeatStrip(trace.memory, {
          label: strings.blocksRead,
          rowName: (layer, head) => `${strings.layer} ${layer}, ${strings.head} ${head + 1}`,
          tableName: strings.asTable,
          placeName: strings.place,
          onOpen: ({ path, startLine, endLine }) => open(path, startLine, endLine),
        }),
        element("p", "note", [
          `${count(nBlocks)} ${strings.blocksInMemory}, ${mb(bytesRead)} ${strings.readFromDisk}, ${ms(selectMs)}`,
        ]),
        ...(estimates.length > 0 ? [element("p", "note", [`${strings.caughtAbout} ${estimates.join(", ")}`])] : []),
        element("p", "note", [strings.attentionNote]),
      );
    }
    this.#details.replaceChildren(...parts);
  }

  #drawEngine(): void {
    const { pid, startMs, models, storeBytes, folders, state } = this.#facts;
    const strings = this.#strings;
    const facts: [string, string][] = [
      [strings.engine, `${strings[state] ?? state}${pid === null ? "" : `, ${strings.process} ${pid}`}`],
      [strings.startTime, ms(startMs)],
      [strings.models, models.join(", ") || "–"],
      [strings.onDisk, mb(storeBytes)],
      ...folders.map(({ name, freshness, nFiles, nTokensAbout, memoryTokens, ...memoryFacts }): [string, string] => {
        const { filesEncoded, filesTotal, remainingMs, isPaused } = memoryFacts;
        const about = nTokensAbout === null ? "" : `, ${strings.about} ${count(nTokensAbout)} ${strings.tokens}`;
        const memory =
          filesTotal === null
            ? ""
            : ` · ${strings.memory}: ${filesEncoded}/${filesTotal}, ${count(memoryTokens)} ${strings.tokens}`;
        const isOpen = filesEncoded !== null && filesTotal !== null && filesEncoded < filesTotal;
        const left = remainingMs === null ? "" : `, ${strings.about} ${durationText(remainingMs)} ${strings.left}`;
        const rest = isOpen ? (isPaused ? `, ${strings.paused}` : left) : "";
        return [name, nFiles === null ? freshness : `${freshness}${about}${memory}${rest}`];
      }),
    ];
    this.#engine.replaceChildren(
      element(
        "dl",
        "",
        facts.flatMap(([name, value]) => [element("dt", "", [name]), element("dd", "", [value])]),
      ),
    );
    const isPaused = folders.some((folder) => folder.isPaused);
    this.#pause.textContent = isPaused ? strings.goOn : strings.pause;
    this.#pause.hidden = !isPaused && folders.every(({ filesEncoded, filesTotal }) => filesEncoded === filesTotal);
  }
}

function heading(text: string): HTMLElement {
  return element("h3", "", [text]);
}

function section(title: string, content: HTMLElement): HTMLElement {
  const made = document.createElement("vscode-collapsible");
  made.setAttribute("heading", title);
  made.setAttribute("open", "");
  made.append(content);
  return made;
}

let page: DiagnosticsPage | undefined;

window.addEventListener("message", ({ data }: MessageEvent<ToDiagnostics>) => {
  if (data.type === "snapshot") page = new DiagnosticsPage(data);
  else if (data.type === "traces") page?.add(data.traces);
  else if (data.type === "facts") page?.setFacts(data.facts);
});
editor.postMessage({ type: "ready" });

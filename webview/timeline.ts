/** The requests over time: how long each took, and when its first text came. */
import uPlot from "uplot";
import type { Trace } from "./diagnostics-messages.ts";
import { element } from "./element.ts";

const HEIGHT_PX = 200;
/** Faint on light and dark alike. */
const GRID = "rgba(128, 128, 128, 0.25)";

export class Timeline {
  readonly node = element("div", "timeline", [], { role: "img" });
  readonly #strings: Record<string, string>;
  #plot: uPlot | undefined;
  #traces: readonly Trace[] = [];

  constructor(strings: Record<string, string>) {
    this.#strings = strings;
    this.node.setAttribute("aria-label", strings.timeline);
    new ResizeObserver(() => this.#plot?.setSize(this.#size())).observe(this.node);
    // The editor changes the class of the body with its theme; the plot has taken its colours from it.
    new MutationObserver(() => this.#build()).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  }

  show(traces: readonly Trace[]): void {
    this.#traces = traces.filter(({ totalMs, status }) => totalMs !== null && status === "done");
    if (this.#plot) this.#plot.setData(this.#data());
    else this.#build();
  }

  #data(): uPlot.AlignedData {
    const pick = (kind: string) => this.#traces.map((trace) => (trace.kind === kind ? trace.totalMs : null));
    return [
      this.#traces.map(({ startedAt }) => startedAt / 1000),
      pick("complete"),
      pick("ask"),
      this.#traces.map(({ firstTextMs }) => firstTextMs),
    ];
  }

  #size(): { width: number; height: number } {
    return { width: Math.max(200, this.node.clientWidth), height: HEIGHT_PX };
  }

  #build(): void {
    if (this.node.clientWidth === 0) {
      requestAnimationFrame(() => this.#build());
      return;
    }
    this.#plot?.destroy();
    const style = getComputedStyle(document.body);
    const colour = (name: string) => style.getPropertyValue(`--vscode-charts-${name}`) || style.color;
    const points = (label: string, stroke: string): uPlot.Series => ({
      label,
      stroke,
      paths: () => null,
      points: { show: true, size: 7, fill: stroke },
      value: (_, value) => (value === null ? "" : `${value.toFixed(1)} ms`),
    });
    const axis: uPlot.Axis = {
      stroke: style.color,
      font: `11px ${style.fontFamily}`,
      grid: { stroke: GRID, width: 1 },
      ticks: { stroke: GRID, width: 1 },
    };
    this.#plot = new uPlot(
      {
        ...this.#size(),
        scales: { y: { distr: 3, range: (_, min, max) => [Math.max(0.1, min / 2), Math.max(10, max * 2)] } },
        series: [
          { value: (_, value) => (value === null ? "" : new Date(value * 1000).toLocaleTimeString()) },
          points(this.#strings.completions, colour("blue")),
          points(this.#strings.answers, colour("yellow")),
          points(this.#strings.firstText, colour("green")),
        ],
        axes: [
          axis,
          {
            ...axis,
            size: 64,
            values: (_, values) => values.map((value) => (value === null ? "" : `${Number(value.toPrecision(2))} ms`)),
          },
        ],
      },
      this.#data(),
      this.node,
    );
  }
}

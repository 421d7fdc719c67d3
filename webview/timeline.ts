/** The requests over time: how long each took, and when its first text came. */
import type uPlot from "uplot";
import type { Trace } from "./diagnostics-messages.ts";
import { Plot } from "./plot.ts";

export class Timeline {
  readonly #plot: Plot;

  constructor(strings: Record<string, string>) {
    const points = (label: string, stroke: string): uPlot.Series => ({
      label,
      stroke,
      paths: () => null,
      points: { show: true, size: 7, fill: stroke },
      value: (_, value) => (value === null ? "" : `${value.toFixed(1)} ms`),
    });
    this.#plot = new Plot("plot timeline", strings.timeline, dataOf([]), ({ colour, axis }) => ({
      scales: { y: { distr: 3, range: (_, min, max) => [Math.max(0.1, min / 2), Math.max(10, max * 2)] } },
      series: [
        { value: (_, value) => (value === null ? "" : new Date(value * 1000).toLocaleTimeString()) },
        points(strings.completions, colour("blue")),
        points(strings.answers, colour("yellow")),
        points(strings.firstText, colour("green")),
      ],
      axes: [
        axis,
        {
          ...axis,
          size: 64,
          values: (_, values) => values.map((value) => (value === null ? "" : `${Number(value.toPrecision(2))} ms`)),
        },
      ],
    }));
  }

  get node(): HTMLElement {
    return this.#plot.node;
  }

  show(traces: readonly Trace[]): void {
    this.#plot.setData(dataOf(traces.filter(({ totalMs, status }) => totalMs !== null && status === "done")));
  }
}

function dataOf(traces: readonly Trace[]): uPlot.AlignedData {
  const pick = (kind: string) => traces.map((trace) => (trace.kind === kind ? trace.totalMs : null));
  return [
    traces.map(({ startedAt }) => startedAt / 1000),
    pick("complete"),
    pick("ask"),
    traces.map(({ firstTextMs }) => firstTextMs),
  ];
}

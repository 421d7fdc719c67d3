/** A uPlot in the editor's colours, as wide as its place. */
import uPlot from "uplot";
import { element } from "./element.ts";

const HEIGHT_PX = 200;
/** Faint on light and dark alike. */
const GRID = "rgba(128, 128, 128, 0.25)";

/** What the colours of the theme make of a plot. */
export interface Theme {
  /** A colour of the theme's charts: blue, green, yellow, ... */
  colour(name: string): string;
  readonly axis: uPlot.Axis;
}

export class Plot {
  readonly node: HTMLElement;
  readonly #options: (theme: Theme) => Omit<uPlot.Options, "width" | "height">;
  #data: uPlot.AlignedData;
  #plot: uPlot | undefined;

  /** `label` says to those who do not see the plot what it is. */
  constructor(
    className: string,
    label: string,
    data: uPlot.AlignedData,
    options: (theme: Theme) => Omit<uPlot.Options, "width" | "height">,
  ) {
    this.node = element("div", className, [], { role: "img", "aria-label": label });
    this.#options = options;
    this.#data = data;
    new ResizeObserver(() => {
      if (this.#plot) this.#plot.setSize(this.#size());
      else this.#build();
    }).observe(this.node);
    // The editor changes the class of the body with its theme; the plot has taken its colours from it.
    new MutationObserver(() => this.#build()).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  }

  setData(data: uPlot.AlignedData): void {
    this.#data = data;
    this.#plot?.setData(data);
  }

  #size(): { width: number; height: number } {
    return { width: Math.max(200, this.node.clientWidth), height: HEIGHT_PX };
  }

  #build(): void {
    // A folded section has no width; unfolding it resizes the node.
    if (this.node.clientWidth === 0) return;
    this.#plot?.destroy();
    const style = getComputedStyle(document.body);
    const theme: Theme = {
      colour: (name) => style.getPropertyValue(`--vscode-charts-${name}`) || style.color,
      axis: {
        stroke: style.color,
        font: `11px ${style.fontFamily}`,
        grid: { stroke: GRID, width: 1 },
        ticks: { stroke: GRID, width: 1 },
      },
    };
    this.#plot = new uPlot({ ...this.#size(), ...this.#options(theme) }, this.#data, this.node);
  }
}

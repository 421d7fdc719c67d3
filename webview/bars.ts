/** Parts of a whole as one bar with a legend that says them in words and numbers. */
import { element } from "./element.ts";
import { percentages } from "./statistics.ts";

export interface Part {
  readonly name: string;
  readonly value: number;
  /** The value with its unit. */
  readonly text: string;
  readonly onOpen?: () => void;
}

/** Colours of the editor's charts, in the order in which parts get them. */
const COLOURS = ["blue", "yellow", "green", "purple", "red", "orange"];

export function stackedBar(parts: readonly Part[], label: string): HTMLElement {
  const shares = percentages(parts.map(({ value }) => value));
  const bar = element("div", "stack", [], {
    role: "img",
    "aria-label": `${label}: ${parts.map(described).join(", ")}`,
  });
  const legend = element("ul", "legend");
  for (const [index, part] of parts.entries()) {
    const colour = `var(--vscode-charts-${COLOURS[index % COLOURS.length]})`;
    const piece = element("span", "piece");
    piece.style.width = `${shares[index] ?? 0}%`;
    piece.style.background = colour;
    bar.append(piece);
    const swatch = element("span", "swatch");
    swatch.style.background = colour;
    const name = part.onOpen
      ? element("button", "link", [part.name], { type: "button" })
      : element("span", "", [part.name]);
    if (part.onOpen) name.addEventListener("click", part.onOpen);
    legend.append(element("li", "", [swatch, name, element("span", "value", [part.text])]));
  }
  return element("div", "", [bar, legend]);
}

function described({ name, text }: Part): string {
  return `${name} ${text}`;
}

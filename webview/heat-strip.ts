/** What each layer attended to in the repository's memory: one row a layer, one column a block, the darker the more. */

import type { Trace } from "./diagnostics-messages.ts";
import { element } from "./element.ts";
import { heatStrip, type StripColumn } from "./statistics.ts";

const ROW_PX = 18;
const LABEL_PX = 64;
/** The least strength a block that was looked at is drawn with, so that it can be seen at all. */
const MIN_ALPHA = 0.12;

export interface HeatStripOptions {
  readonly label: string;
  readonly layerName: (layer: number) => string;
  readonly onOpen: (column: StripColumn) => void;
}

/** The strip, with a line below that names the block under the pointer or chosen with the arrow keys. */
export function drawHeatStrip(memory: NonNullable<Trace["memory"]>, options: HeatStripOptions): HTMLElement {
  const { columns, rows } = heatStrip(memory);
  const canvas = element("canvas", "strip", [], { tabindex: "0", role: "img", "aria-label": options.label });
  const said = element("p", "said note", [" "], { "aria-live": "polite" });
  let chosen = -1;

  const draw = () => {
    const width = canvas.clientWidth;
    if (width === 0) return;
    const scale = window.devicePixelRatio;
    canvas.width = width * scale;
    canvas.height = rows.length * ROW_PX * scale;
    canvas.style.height = `${rows.length * ROW_PX}px`;
    const context = canvas.getContext("2d");
    if (!context) return;
    context.scale(scale, scale);
    const style = getComputedStyle(document.body);
    const colour = style.getPropertyValue("--vscode-charts-blue") || style.color;
    const most = Math.max(...rows.flatMap(({ masses }) => masses));
    const step = (width - LABEL_PX) / columns.length;
    context.font = `11px ${style.fontFamily}`;
    context.textBaseline = "middle";
    for (const [row, { layer, masses }] of rows.entries()) {
      context.globalAlpha = 1;
      context.fillStyle = style.color;
      context.fillText(options.layerName(layer), 0, (row + 0.5) * ROW_PX);
      context.fillStyle = colour;
      for (const [column, mass] of masses.entries()) {
        if (mass === 0) continue;
        context.globalAlpha = MIN_ALPHA + (1 - MIN_ALPHA) * (mass / most);
        context.fillRect(LABEL_PX + column * step, row * ROW_PX + 1, Math.max(1, step - 1), ROW_PX - 2);
      }
    }
    if (chosen < 0) return;
    context.globalAlpha = 1;
    context.strokeStyle = style.getPropertyValue("--vscode-focusBorder") || style.color;
    context.strokeRect(LABEL_PX + chosen * step, 0.5, Math.max(2, step - 1), rows.length * ROW_PX - 1);
  };

  const choose = (column: number) => {
    if (column === chosen || column < 0 || column >= columns.length) return;
    chosen = column;
    const { path, startLine, endLine } = columns[column];
    const masses = rows.map(
      ({ layer, masses: all }) => `${options.layerName(layer)}: ${(100 * all[column]).toFixed(1)} %`,
    );
    said.textContent = `${path}:${startLine}-${endLine} · ${masses.join(" · ")}`;
    draw();
  };
  const columnAt = (x: number) => Math.floor(((x - LABEL_PX) / (canvas.clientWidth - LABEL_PX)) * columns.length);
  canvas.addEventListener("pointermove", ({ offsetX }) => choose(columnAt(offsetX)));
  canvas.addEventListener("click", () => {
    if (chosen >= 0) options.onOpen(columns[chosen]);
  });
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "ArrowRight") choose(chosen + 1);
    else if (event.key === "ArrowLeft") choose(chosen - 1);
    else if (event.key === "Enter" && chosen >= 0) options.onOpen(columns[chosen]);
    else return;
    event.preventDefault();
  });
  new ResizeObserver(draw).observe(canvas);
  // The colours are the theme's, which the editor changes with the class of the body.
  const theme = new MutationObserver(() => (canvas.isConnected ? draw() : theme.disconnect()));
  theme.observe(document.body, { attributes: true, attributeFilter: ["class"] });
  return element("div", "", [canvas, said]);
}

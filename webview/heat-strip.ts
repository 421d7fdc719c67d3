/**
 * What each head of each layer attended to in the repository's memory: one row a head, one column a block, the darker the
 * more. The same figures stand in a table below, for those who do not see the picture or want them exactly.
 */
import type { Trace } from "./diagnostics-messages.ts";
import { element } from "./element.ts";
import { heatStrip, type StripColumn, type StripRow } from "./statistics.ts";

export const ROW_PX = 14;
/** Between the rows of two layers. */
const GAP_PX = 6;
export const LABEL_PX = 92;
/** The least strength a block that was looked at is drawn with, so that it can be seen at all. */
export const MIN_ALPHA = 0.12;

export interface HeatStripOptions {
  readonly label: string;
  /** Of a head, which count from 0. */
  readonly rowName: (layer: number, head: number) => string;
  /** Headings of the table. */
  readonly tableName: string;
  readonly placeName: string;
  readonly onOpen: (column: StripColumn) => void;
}

/** The strip, a line that names what is under the pointer or chosen with the arrow keys, and the table. */
export function drawHeatStrip(memory: NonNullable<Trace["memory"]>, options: HeatStripOptions): HTMLElement {
  const { columns, rows } = heatStrip(memory);
  const label = `${options.label}: ${strongest(columns, rows, options).join(", ")}`;
  const canvas = element("canvas", "strip", [], { tabindex: "0", role: "img", "aria-label": label });
  const said = element("p", "said note", [" "], { "aria-live": "polite" });
  const tops = rowTops(rows);
  const heightPx = (tops.at(-1) ?? 0) + ROW_PX;
  const most = Math.max(...rows.flatMap(({ masses }) => masses));
  const stepPx = () => (canvas.clientWidth - LABEL_PX) / columns.length;
  let [column, row] = [-1, -1];

  const draw = () => {
    const width = canvas.clientWidth;
    if (width === 0) return;
    const scale = window.devicePixelRatio;
    canvas.width = width * scale;
    canvas.height = heightPx * scale;
    canvas.style.height = `${heightPx}px`;
    const context = canvas.getContext("2d");
    if (!context) return;
    context.scale(scale, scale);
    const style = getComputedStyle(document.body);
    const colour = style.getPropertyValue("--vscode-charts-blue") || style.color;
    const step = stepPx();
    context.font = `11px ${style.fontFamily}`;
    context.textBaseline = "middle";
    for (const [at, { layer, head, masses }] of rows.entries()) {
      context.globalAlpha = 1;
      context.fillStyle = style.color;
      context.fillText(options.rowName(layer, head), 0, tops[at] + ROW_PX / 2);
      context.fillStyle = colour;
      for (const [i, mass] of masses.entries()) {
        if (mass === 0) continue;
        context.globalAlpha = MIN_ALPHA + (1 - MIN_ALPHA) * (mass / most);
        context.fillRect(LABEL_PX + i * step, tops[at] + 1, Math.max(1, step - 1), ROW_PX - 2);
      }
    }
    if (column < 0) return;
    context.globalAlpha = 1;
    context.strokeStyle = style.getPropertyValue("--vscode-focusBorder") || style.color;
    context.strokeRect(LABEL_PX + column * step, 0.5, Math.max(2, step - 1), heightPx - 1);
    context.strokeRect(LABEL_PX + column * step, tops[row] + 0.5, Math.max(2, step - 1), ROW_PX - 1);
  };

  const choose = (toColumn: number, toRow: number) => {
    if (toColumn < 0 || toColumn >= columns.length || toRow < 0 || toRow >= rows.length) return;
    if (toColumn === column && toRow === row) return;
    [column, row] = [toColumn, toRow];
    const { layer, head, masses } = rows[row];
    const others = rows.filter((other) => other.layer === layer).map((other) => percent(other.masses[column]));
    said.textContent = `${placeOf(columns[column])} · ${options.rowName(layer, head)}: ${percent(masses[column])} (${others.join(", ")})`;
    draw();
  };
  canvas.addEventListener("pointermove", ({ offsetX, offsetY }) => {
    choose(
      Math.floor((offsetX - LABEL_PX) / stepPx()),
      tops.findLastIndex((top) => top <= offsetY),
    );
  });
  canvas.addEventListener("click", () => {
    if (column >= 0) options.onOpen(columns[column]);
  });
  canvas.addEventListener("keydown", (event) => {
    const moves: Record<string, [number, number]> = {
      ArrowRight: [1, 0],
      ArrowLeft: [-1, 0],
      ArrowDown: [0, 1],
      ArrowUp: [0, -1],
    };
    const move = moves[event.key];
    // The first key goes to the first cell, whichever it is.
    if (move && column < 0) choose(0, 0);
    else if (move) choose(column + move[0], row + move[1]);
    else if (event.key === "Enter" && column >= 0) options.onOpen(columns[column]);
    else return;
    event.preventDefault();
  });
  new ResizeObserver(draw).observe(canvas);
  // The colours are the theme's, which the editor changes with the class of the body.
  const theme = new MutationObserver(() => (canvas.isConnected ? draw() : theme.disconnect()));
  theme.observe(document.body, { attributes: true, attributeFilter: ["class"] });
  return element("div", "", [canvas, said, table(columns, rows, options)]);
}

/** The y of every row. */
export function rowTops(rows: readonly Pick<StripRow, "layer">[]): number[] {
  let top = 0;
  return rows.map(({ layer }, at) => {
    if (at > 0) top += ROW_PX + (rows[at - 1].layer === layer ? 0 : GAP_PX);
    return top;
  });
}

/** In words what the picture says first: the block that each head attended to most. */
function strongest(columns: readonly StripColumn[], rows: readonly StripRow[], { rowName }: HeatStripOptions) {
  return rows.map(({ layer, head, masses }) => {
    const best = masses.indexOf(Math.max(...masses));
    return `${rowName(layer, head)} ${placeOf(columns[best])} ${percent(masses[best])}`;
  });
}

function table(columns: readonly StripColumn[], rows: readonly StripRow[], options: HeatStripOptions): HTMLElement {
  const heads = [options.placeName, ...rows.map(({ layer, head }) => options.rowName(layer, head))];
  const lines = columns.map((column, at) => {
    const place = element("button", "link", [placeOf(column)], { type: "button" });
    place.addEventListener("click", () => options.onOpen(column));
    const cells = rows.map(({ masses }) => element("td", "", [percent(masses[at])]));
    return element("tr", "", [element("th", "", [place], { scope: "row" }), ...cells]);
  });
  const head = heads.map((text) => element("th", "", [text], { scope: "col" }));
  const made = element("table", "masses", [
    element("thead", "", [element("tr", "", head)]),
    element("tbody", "", lines),
  ]);
  return element("details", "", [element("summary", "", [options.tableName]), element("div", "scroll", [made])]);
}

const percent = (mass: number) => `${(100 * mass).toFixed(1)} %`;
const placeOf = ({ path, startLine, endLine }: StripColumn) => `${path}:${startLine}-${endLine}`;

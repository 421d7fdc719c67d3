/**
 * How the shipped model was trained: bits per byte, and what each softmax head attended to. The same figures stand in
 * tables below, for those who do not see the pictures or want them exactly.
 */
import type uPlot from "uplot";
import { element } from "./element.ts";
import { Plot } from "./plot.ts";
import { drawMark } from "./plot-mark.ts";
import { type HeadHistory, headRows, type TrainingHistory, tokensText } from "./training-history.ts";

/** Digits of bits per byte and of lifts. */
const DIGITS = 3;

export function drawTraining(history: TrainingHistory, strings: Record<string, string>): HTMLElement {
  const { model, validation, heads } = history;
  const [first, last] = [validation.at(0), validation.at(-1)];
  const parts: Node[] = [];
  if (first && last) {
    const said = `${strings.bitsPerByte}: ${first.bitsPerByte.toFixed(DIGITS)} (${tokensText(first.tokens)}) → ${last.bitsPerByte.toFixed(DIGITS)} (${tokensText(last.tokens)})`;
    parts.push(
      element("p", "note", [`${model} · ${said}`]),
      bitsPlot(history, strings, said).node,
      table(
        strings.asTable,
        [strings.tokensTrained, strings.bitsPerByte],
        validation.map(({ tokens, bitsPerByte }) => ({
          name: tokensText(tokens),
          cells: [bitsPerByte.toFixed(DIGITS)],
        })),
      ),
    );
  }
  const names = Object.keys(heads);
  if (names.length > 0) parts.push(...liftPlot(history, names, strings));
  return element("div", "training", parts);
}

function bitsPlot({ validation }: TrainingHistory, strings: Record<string, string>, said: string): Plot {
  const data: uPlot.AlignedData = [
    validation.map(({ tokens }) => tokens),
    validation.map(({ bitsPerByte }) => bitsPerByte),
  ];
  return new Plot("plot bits", said, data, ({ colour, axis }) => ({
    scales: { x: { time: false } },
    series: [tokensSeries(strings), line(strings.bitsPerByte, colour("blue"))],
    axes: [tokensAxis(axis), axis],
  }));
}

/** A choice of heads, the plot of the chosen one's lifts with the mark where it froze, and the table of all. */
function liftPlot(history: TrainingHistory, names: readonly string[], strings: Record<string, string>): Node[] {
  const { tokens, heads } = history;
  const dataOf = ({ distinct, common }: HeadHistory): uPlot.AlignedData => [[...tokens], [...distinct], [...common]];
  let shown = names[0];
  const plot = new Plot("plot lifts", strings.liftsOfHead, dataOf(heads[shown]), ({ colour, axis }) => ({
    scales: { x: { time: false } },
    series: [
      tokensSeries(strings),
      line(strings.distinctTokens, colour("green")),
      line(strings.commonTokens, colour("yellow")),
    ],
    axes: [tokensAxis(axis), axis],
    hooks: { draw: [(uplot) => drawMark(uplot, heads[shown].snap, colour("red"))] },
  }));
  const choice = element(
    "select",
    "",
    names.map((name) => element("option", "", [headName(name, strings)], { value: name })),
  );
  const said = element("p", "said note", [], { "aria-live": "polite" });
  const show = () => {
    shown = choice.value;
    const { distinct, common, snap } = heads[shown];
    plot.setData(dataOf(heads[shown]));
    const froze = snap === null ? strings.notSeenToFreeze : `${strings.froze} ${tokensText(snap)}`;
    said.textContent = `${strings.distinctTokens} ${range(distinct)}, ${strings.commonTokens} ${range(common)}; ${froze}`;
  };
  choice.addEventListener("change", show);
  show();
  const heading = [strings.headColumn, strings.distinctTokens, strings.commonTokens, strings.sink, strings.froze];
  return [
    element("h3", "", [strings.liftsOfHead]),
    element("label", "", [`${strings.headColumn} `, choice]),
    plot.node,
    said,
    element("p", "note", [strings.liftNote]),
    table(
      strings.asTable,
      heading,
      headRows(history).map((row) => ({ ...row, name: headName(row.name, strings) })),
    ),
  ];
}

function headName(name: string, strings: Record<string, string>): string {
  const [layer, head] = name.split(".");
  return `${strings.layer} ${layer}, ${strings.head} ${Number(head) + 1}`;
}

const range = (curve: readonly number[]) =>
  curve.length === 0 ? "–" : `${curve[0].toFixed(2)} → ${curve[curve.length - 1].toFixed(2)}`;

const tokensSeries = (strings: Record<string, string>): uPlot.Series => ({
  label: strings.tokensTrained,
  value: (_, value) => (value === null ? "" : tokensText(value)),
});

const line = (label: string, stroke: string): uPlot.Series => ({
  label,
  stroke,
  width: 2,
  points: { show: true, size: 5, fill: stroke },
  value: (_, value) => (value === null ? "" : value.toFixed(DIGITS)),
});

const tokensAxis = (axis: uPlot.Axis): uPlot.Axis => ({ ...axis, values: (_, values) => values.map(tokensText) });

function table(
  name: string,
  heading: readonly string[],
  rows: readonly { name: string; cells: string[] }[],
): HTMLElement {
  const head = heading.map((text) => element("th", "", [text], { scope: "col" }));
  const body = rows.map((row) =>
    element("tr", "", [
      element("th", "", [row.name], { scope: "row" }),
      ...row.cells.map((text) => element("td", "", [text])),
    ]),
  );
  return element("details", "", [
    element("summary", "", [name]),
    element("table", "masses", [element("thead", "", [element("tr", "", head)]), element("tbody", "", body)]),
  ]);
}

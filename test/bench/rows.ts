/** What a benchmark prints: one row per figure. */

export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What the value should reach, null where the figure is only told. */
  readonly target: number | null;
  readonly pass: boolean | null;
  /** Of the rounds whose median the value is. */
  readonly quartiles?: readonly [lower: number, upper: number];
}

export const told = (name: string, value: number, unit: string): Row => ({
  ...{ name, value, unit },
  ...{ target: null, pass: null },
});

export const atLeast = (name: string, value: number, unit: string, target: number): Row => ({
  ...{ name, value, unit, target },
  pass: value >= target,
});

export const atMost = (name: string, value: number, unit: string, target: number): Row => ({
  ...{ name, value, unit, target },
  pass: value <= target,
});

/** The row of a median, with how far its rounds spread. */
export const spread = (row: Row, rounds: readonly number[]): Row => ({
  ...row,
  quartiles: [quantile(rounds, 0.25), quantile(rounds, 0.75)],
});

/** Rounds of one side over those of another that took turns with it. */
export const ratios = (a: readonly number[], b: readonly number[]) => a.map((value, round) => value / b[round]);

const number = (value: number) => String(Number(value.toPrecision(3)));

/** The rows for a page: the lines of a table. */
export function rowsAsMarkdown(rows: readonly Row[]): string[] {
  const hasQuartiles = rows.some(({ quartiles }) => quartiles);
  const cells = rows.map(({ name, value, unit, target, pass, quartiles }) => [
    name.replaceAll("|", "\\|"),
    `${number(value)} ${unit}`.trim(),
    ...(hasQuartiles ? [quartiles ? quartiles.map(number).join(" to ") : ""] : []),
    target === null ? "" : number(target),
    pass === null ? "" : pass ? "yes" : "no",
  ]);
  const head = ["figure", "value", ...(hasQuartiles ? ["half of the rounds"] : []), "target", "reached"];
  const widths = head.map((_, column) => Math.max(...[head, ...cells].map((row) => row[column].length)));
  const line = (row: readonly string[]) => `| ${row.map((cell, i) => cell.padEnd(widths[i])).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...cells.map(line)];
}

/** The rows for a reader: a table as wide as its names. */
export function formatRows(rows: readonly Row[]): string {
  const width = Math.max(...rows.map(({ name }) => name.length));
  const lines = rows.map(({ name, value, unit, target, pass }) => {
    const verdict = pass === null ? "" : ` ${pass ? "reached" : "MISSED "} ${number(target ?? 0)}`;
    return `${name.padEnd(width)}  ${number(value).padStart(8)} ${unit.padEnd(9)}${verdict}`.trimEnd();
  });
  return lines.join("\n");
}

/** The value that a share of the values lies below, the greater of two; NaN where there are none. */
export const quantile = (values: readonly number[], share: number) =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN;

/** The middle one. */
export const median = (values: readonly number[]) => quantile(values, 0.5);

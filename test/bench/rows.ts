/** What a benchmark prints: one row per figure. */

export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What the value should reach, null where the figure is only told. */
  readonly target: number | null;
  readonly pass: boolean | null;
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

/** The rows for a reader: a table as wide as its names. */
export function formatRows(rows: readonly Row[]): string {
  const number = (value: number) => String(Number(value.toPrecision(3)));
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

/** The figures the diagnostics panel shows, from the traces. */
import type { Trace } from "./diagnostics-messages.ts";

/** The value below which `share` of the values lie, by nearest rank; null of none. */
export function quantile(values: readonly number[], share: number): number | null {
  if (values.length === 0) return null;
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

/** Generated tokens per second over a whole request, reading the prompt included; null where it cannot be said. */
export function tokensPerSecond({ nTokens, totalMs }: Trace): number | null {
  return nTokens === null || nTokens === 0 || !totalMs ? null : (nTokens * 1000) / totalMs;
}

/** The shares of the whole, in percent, that add up to 100; empty where there is nothing. */
export function percentages(values: readonly number[]): number[] {
  const all = values.reduce((sum, value) => sum + value, 0);
  return all === 0 ? [] : values.map((value) => (100 * value) / all);
}

/** One head of one layer. */
export interface StripRow {
  readonly layer: number;
  /** From 0. */
  readonly head: number;
  /** One for every column; 0 where the layer did not look at the block. */
  readonly masses: readonly number[];
}

export interface StripColumn {
  readonly path: string;
  readonly startLine: number;
  readonly endLine: number;
}

/** The blocks that any layer attended to as columns, by path and line, and how much each head of each layer did as rows. */
export function heatStrip(memory: NonNullable<Trace["memory"]>): { columns: StripColumn[]; rows: StripRow[] } {
  const keyOf = ({ path, startLine }: StripColumn) => `${path}\n${startLine}`;
  const columns = new Map<string, StripColumn>();
  for (const { blocks } of memory.layers) {
    for (const { path, startLine, endLine } of blocks)
      columns.set(`${path}\n${startLine}`, { path, startLine, endLine });
  }
  const sorted = [...columns.values()].sort((a, b) =>
    a.path === b.path ? a.startLine - b.startLine : a.path < b.path ? -1 : 1,
  );
  const rows = memory.layers.flatMap(({ layer, blocks }) => {
    const byColumn = new Map(blocks.map((block) => [keyOf(block), block.headMasses]));
    const nHeads = Math.max(0, ...blocks.map(({ headMasses }) => headMasses.length));
    return Array.from({ length: nHeads }, (_, head) => {
      const masses = sorted.map((column) => byColumn.get(keyOf(column))?.[head] ?? 0);
      return { layer, head, masses };
    });
  });
  return { columns: sorted, rows };
}

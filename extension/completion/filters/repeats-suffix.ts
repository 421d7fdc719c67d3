import type { Filter } from "./filter.ts";

/** Drops a suggestion whose lines already stand right behind the cursor, the first one perhaps cut by it. */
export const repeatsSuffix: Filter = (text, { suffix }) => {
  const lines = meaningfulLines(text);
  const behind = meaningfulLines(suffix).slice(0, lines.length);
  const isRepeated =
    lines.length > 0 && behind.length === lines.length && lines.every((line, at) => line === behind[at]);
  return isRepeated ? undefined : text;
};

function meaningfulLines(text: string): string[] {
  return text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "");
}

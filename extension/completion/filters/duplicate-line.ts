import type { Filter } from "./filter.ts";

/** Lines this short, closing brackets above all, repeat for good reasons. */
const MIN_LENGTH = 4;

/** Cuts a suggestion before a line that says the same as the one before it: a model that repeats itself goes on doing so. */
export const duplicateLine: Filter = (text, { prefix }) => {
  const cursorLine = prefix.slice(prefix.lastIndexOf("\n") + 1);
  const isWholeLine = cursorLine.trim() === "";
  let before = isWholeLine ? lastLine(prefix) : "";
  let end = 0;
  for (const { 0: line, index } of text.matchAll(/[^\n]+/g)) {
    const said = (index === 0 ? cursorLine + line : line).trim();
    if (said.length >= MIN_LENGTH && said === before) return end === 0 ? undefined : text.slice(0, end);
    if (said !== "") before = said;
    end = index + line.replace(/\r$/, "").length;
  }
  return text;
};

/** The last line before the cursor's that is not blank. */
function lastLine(prefix: string): string {
  return (prefix.trimEnd().split(/\r?\n/).at(-1) ?? "").trim();
}

/** Where brackets are counted those in strings are none. */

/** Strings on one line. In single quotes only a bracket alone: they also begin lifetimes, and stand in words of comments. */
const STRING = /"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\\n])*`|'[()[\]{}]'/g;

/** A text of the same length, with spaces for what stands in strings and for their quotes. */
export function withBlankStrings(text: string): string {
  return text.replace(STRING, (string) => " ".repeat(string.length));
}

/** The sections of a Markdown file as symbols. */
import type { FileSymbol } from "./syntax.ts";

/** Sections by their headings (`# ...` and underlined ones, CommonMark 4.2 and 4.3), each up to the next heading. */
export function headingsOf(lines: readonly string[]): FileSymbol[] {
  const headings: { name: string; level: number; startLine: number }[] = [];
  let fence: string | undefined;
  lines.forEach((line, i) => {
    const marker = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1];
    if (fence) {
      if (marker?.startsWith(fence) && line.trim() === marker) fence = undefined;
      return;
    }
    if (marker) {
      fence = marker;
      return;
    }
    const atx = /^ {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#*)?[ \t]*$/.exec(line);
    if (atx) headings.push({ name: atx[2] ?? "", level: atx[1].length, startLine: i + 1 });
    const underline = /^ {0,3}(=+|-{2,})[ \t]*$/.exec(line)?.[1];
    const above = i > 0 ? lines[i - 1].trim() : "";
    if (underline && above !== "" && !/^[#>*+|-]/.test(above)) {
      headings.push({ name: above, level: underline[0] === "=" ? 1 : 2, startLine: i });
    }
  });
  // The headings around the one at hand, outermost first.
  const around: { name: string; level: number }[] = [];
  return headings.map(({ name, level, startLine }, i) => {
    while (around.length > 0 && around[around.length - 1].level >= level) around.pop();
    const container = around.at(-1)?.name ?? null;
    around.push({ name, level });
    return {
      name,
      kind: "section",
      container,
      startLine,
      endLine: (headings[i + 1]?.startLine ?? lines.length + 1) - 1,
      doc: null,
      signature: lines[startLine - 1].trim(),
    };
  });
}

/** Search results as text for a language model: place, symbol and code of every hit. */
import type { AskResult } from "../../engine/protocol.ts";

export function searchText(folderName: string, { found, citations }: AskResult): string {
  if (!found) return `Nothing found in ${folderName}.`;
  return citations
    .map(({ file, startLine, endLine, symbol, text }) => {
      const place = `${file}:${startLine}-${endLine}${symbol ? ` (${symbol})` : ""}`;
      return `${place}\n\`\`\`\n${text}\n\`\`\``;
    })
    .join("\n\n");
}

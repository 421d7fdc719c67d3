/** `longsight_search` for the language models of other extensions. */
import * as vscode from "vscode";
import type { Indexes } from "../workspace/indexes.ts";
import type { Answerer } from "./answerer.ts";
import { signalOf } from "./cancellation.ts";
import { searchText } from "./search-text.ts";

interface Input {
  readonly question: string;
  readonly maxResults?: number;
}

const DEFAULT_RESULTS = 8;

export function registerSearchTool(indexes: Indexes, answerer: Answerer): vscode.Disposable {
  return vscode.lm.registerTool<Input>("longsight_search", {
    prepareInvocation: ({ input }) => ({
      invocationMessage: vscode.l10n.t("Searching the workspace for {0}", JSON.stringify(input.question)),
    }),
    invoke: async ({ input }, token) => {
      const parts: vscode.LanguageModelTextPart[] = [];
      for (const index of indexes.all()) {
        const answer = await answerer.ask(index, input.question, [], {
          signal: signalOf(token),
          quoteOnly: true,
          maxCitations: input.maxResults ?? DEFAULT_RESULTS,
        });
        parts.push(new vscode.LanguageModelTextPart(searchText(index.folder.name, answer)));
      }
      if (parts.length === 0) parts.push(new vscode.LanguageModelTextPart("No folder is open."));
      return new vscode.LanguageModelToolResult(parts);
    },
  });
}

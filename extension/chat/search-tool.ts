/** `longsight_search` for the language models of other extensions. */
import * as vscode from "vscode";
import { LongsightError } from "../../engine/errors.ts";
import type { Indexes } from "../workspace/indexes.ts";
import type { Answerer } from "./answerer.ts";
import { signalOf } from "./cancellation.ts";
import { searchText } from "./search-text.ts";

/** As a model wrote it: the editor does not hold it to the schema. */
interface Input {
  readonly question?: unknown;
  readonly maxResults?: unknown;
}

const DEFAULT_RESULTS = 8;
const MAX_RESULTS = 20;

export function registerSearchTool(indexes: Indexes, answerer: Answerer): vscode.Disposable {
  return vscode.lm.registerTool<Input>("longsight_search", {
    prepareInvocation: ({ input }) => ({
      invocationMessage: vscode.l10n.t("Searching the workspace for {0}", JSON.stringify(input.question)),
      confirmationMessages: {
        title: vscode.l10n.t("Search the workspace"),
        message: vscode.l10n.t(
          "Looks for {0} in the index on this machine. Nothing is changed, and what is found goes to the model that asks.",
          JSON.stringify(input.question),
        ),
      },
    }),
    invoke: async ({ input }, token) => {
      const { question, maxResults } = input;
      if (typeof question !== "string" || question.trim() === "") {
        throw new LongsightError("bad-input", "longsight_search takes a question; give it in words or as identifiers.");
      }
      const wanted = Math.trunc(Number(maxResults ?? DEFAULT_RESULTS));
      const nResults = wanted >= 1 ? Math.min(wanted, MAX_RESULTS) : DEFAULT_RESULTS;
      const parts: vscode.LanguageModelTextPart[] = [];
      for (const index of indexes.all()) {
        const answer = await answerer.ask(index, question, [], {
          signal: signalOf(token),
          quoteOnly: true,
          maxCitations: nResults,
        });
        parts.push(new vscode.LanguageModelTextPart(searchText(index.folder.name, answer)));
      }
      if (parts.length === 0) parts.push(new vscode.LanguageModelTextPart("No folder is open."));
      return new vscode.LanguageModelToolResult(parts);
    },
  });
}

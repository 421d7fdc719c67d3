/** What an answer is based on, said truthfully. */
import * as vscode from "vscode";
import type { FolderIndex } from "./folder-index.ts";

/** One line: the commit the index is at and how many files have changed since it was made. */
export function freshness(index: FolderIndex): string {
  const { state, nPending } = index;
  switch (state.kind) {
    case "none":
      return vscode.l10n.t("Not indexed yet");
    case "indexing":
      return state.total === null
        ? vscode.l10n.t("Indexing: {0} files so far", state.done)
        : vscode.l10n.t("Indexing: {0} of {1} files", state.done, state.total);
    case "failed":
      return state.sentence;
    case "ready": {
      const files =
        state.result.files === 1
          ? vscode.l10n.t("Index of 1 file")
          : vscode.l10n.t("Index of {0} files", state.result.files);
      const at = state.revision ? vscode.l10n.t("{0} at {1}", files, state.revision) : files;
      return nPending > 0
        ? vscode.l10n.t("{0}, {1} files pending", at, nPending)
        : vscode.l10n.t("{0}, up to date", at);
    }
  }
}

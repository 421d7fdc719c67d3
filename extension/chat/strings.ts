/** The words of the chat panel, in the editor's language. */
import * as vscode from "vscode";

export function chatStrings(): Record<string, string> {
  const { t } = vscode.l10n;
  return {
    placeholder: t("Ask about this folder, @ to mention"),
    send: t("Ask"),
    stop: t("Stop"),
    searching: t("Looking through the folder ..."),
    stopped: t("Stopped."),
    sources: t("Sources"),
    whyThese: t("Why these sources"),
    score: t("Score"),
    scoreNote: t("How well each place fits the question; comparable within this answer."),
    quoted: t("quoted from the folder"),
    copy: t("Copy"),
    insert: t("Insert at the cursor"),
    apply: t("Compare with the editor and apply"),
    codeActions: t("Code"),
    copyAnswer: t("Copy the answer"),
    regenerate: t("Answer again"),
    chooseFolder: t("Ask another folder"),
    emptyTitle: t("Ask about the whole folder"),
    emptyText: t("Every answer names the lines it comes from."),
    emptyHint: t("Nothing leaves this machine."),
  };
}

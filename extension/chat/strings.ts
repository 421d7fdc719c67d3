/** The words of the chat panel, in the editor's language. */
import * as vscode from "vscode";

export function chatStrings(): Record<string, string> {
  const { l10n } = vscode;
  return {
    placeholder: l10n.t("Ask about this folder, @ to mention"),
    send: l10n.t("Ask"),
    stop: l10n.t("Stop"),
    searching: l10n.t("Looking through the folder ..."),
    stopped: l10n.t("Stopped."),
    sources: l10n.t("Sources"),
    whyThese: l10n.t("Why these sources"),
    score: l10n.t("Score"),
    scoreNote: l10n.t("How likely each place answers the question, rather than another one or none."),
    stable: l10n.t("The first source is a stable choice"),
    borderline: l10n.t("The first source is a borderline choice"),
    wouldFlip: l10n.t("Another source might as well be the first"),
    quoted: l10n.t("quoted from the folder"),
    copy: l10n.t("Copy"),
    insert: l10n.t("Insert at the cursor"),
    apply: l10n.t("Compare with the editor and apply"),
    codeActions: l10n.t("Code"),
    copyAnswer: l10n.t("Copy the answer"),
    regenerate: l10n.t("Answer again"),
    chooseFolder: l10n.t("Ask another folder"),
    emptyTitle: l10n.t("Ask about the whole folder"),
    emptyText: l10n.t("Every answer names the lines it comes from."),
    emptyHint: l10n.t("Nothing leaves this machine."),
  };
}

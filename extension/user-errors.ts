/** How a failure reaches the user: one sentence, and the log for the rest. */
import * as vscode from "vscode";
import { LongsightError } from "../engine/errors.ts";
import { log } from "./log.ts";

/** Whether a request ended because somebody no longer wanted its result. */
export function isCancelled(error: unknown): boolean {
  return error instanceof LongsightError && error.code === "cancelled";
}

/** The one sentence for the user. */
export function sentenceOf(error: unknown): string {
  if (error instanceof LongsightError) return error.message;
  log.error(error instanceof Error ? error : String(error));
  return vscode.l10n.t("Something unexpected went wrong; the log has the details. Try again, or restart the engine.");
}

/** Shows a failure with the log one click away; a cancellation is no failure. */
export async function showError(error: unknown): Promise<void> {
  if (isCancelled(error)) return;
  const showLog = vscode.l10n.t("Show Log");
  const choice = await vscode.window.showErrorMessage(sentenceOf(error), showLog);
  if (choice === showLog) log.show();
}

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

/** What a failure's message offers besides the log. */
export interface WayOut {
  readonly label: string;
  readonly run: () => unknown;
}

/** What was shown and is not over yet. */
const told = new Set<string>();

/** Shows a failure that nobody waits for, with a way out: once, until it is over. */
export async function tellOnce(error: unknown, wayOut: WayOut): Promise<void> {
  const sentence = sentenceOf(error);
  if (told.has(sentence)) return;
  told.add(sentence);
  const showLog = vscode.l10n.t("Show Log");
  const choice = await vscode.window.showErrorMessage(sentence, wayOut.label, showLog);
  if (choice === showLog) log.show();
  if (choice !== wayOut.label) return;
  told.delete(sentence);
  await wayOut.run();
}

/** A failure is over: should it come again, it is shown again. */
export function isOver(sentence: string): void {
  told.delete(sentence);
}

/** Whether the engine ended under a request: the next one starts another, unless that fails. */
export function isLost(error: unknown): boolean {
  return error instanceof LongsightError && error.code === "engine-lost";
}

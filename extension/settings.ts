/** The user's settings, read anew at every use; a value of the wrong type counts as not set and is reported once. */
import * as vscode from "vscode";
import { log } from "./log.ts";

const reported = new Set<string>();

/** Reads a setting; `isValid` guards what a hand-written settings file may hold. */
function read<T>(
  key: string,
  fallback: T,
  isValid: (value: unknown) => value is T,
  scope?: vscode.ConfigurationScope,
): T {
  const value = vscode.workspace.getConfiguration("longsight", scope).get<unknown>(key, fallback);
  if (isValid(value)) return value;
  if (!reported.has(key)) {
    reported.add(key);
    const sentence = vscode.l10n.t(
      "The setting longsight.{0} has the value {1}, which is not usable; {2} is used.",
      key,
      JSON.stringify(value),
      JSON.stringify(fallback),
    );
    log.warn(sentence);
    void offerToCorrect(key, sentence);
  }
  return fallback;
}

async function offerToCorrect(key: string, sentence: string): Promise<void> {
  const open = vscode.l10n.t("Open Settings");
  if ((await vscode.window.showWarningMessage(sentence, open)) !== open) return;
  await vscode.commands.executeCommand("workbench.action.openSettings", `longsight.${key}`);
}

const isBoolean = (value: unknown) => typeof value === "boolean";
const isString = (value: unknown) => typeof value === "string";
const isStrings = (value: unknown): value is string[] => Array.isArray(value) && value.every(isString);
const isIn =
  (min: number, max: number) =>
  (value: unknown): value is number =>
    typeof value === "number" && Number.isFinite(value) && value >= min && value <= max;

export const settings = {
  completionsEnabled: (scope: vscode.ConfigurationScope) => read("completions.enabled", true, isBoolean, scope),
  completionMaxTokens: () => read("completions.maxTokens", 64, isIn(1, 512)),
  completionMaxDelayMs: () => read("completions.maxDelay", 200, isIn(0, 2000)),
  completionModel: () => read("completions.model", "", isString),
  chatModel: () => read("chat.model", "", isString),
  maxCitations: () => read("chat.maxCitations", 8, isIn(1, 50)),
  indexOnOpen: () => read("index.onOpen", true, isBoolean),
  modelFolders: () => read("models.folders", [], isStrings),
  serverUrl: () => read("server.url", "", isString).trim().replace(/\/+$/, ""),
  serverModel: () => read("server.model", "", isString),
};

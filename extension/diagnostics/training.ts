/** The training history that ships with the default model, for the diagnostics panel. */
import * as vscode from "vscode";
import { parseTrainingHistory, type TrainingHistory } from "../../webview/training-history.ts";

/** Null where the package has none that can be read: the panel then leaves the section out. */
export async function readTraining(extension: vscode.Uri): Promise<TrainingHistory | null> {
  const place = vscode.Uri.joinPath(extension, "engine", "models", "default", "training.json");
  const bytes = await vscode.workspace.fs.readFile(place).then(
    (read) => read,
    () => undefined,
  );
  return (bytes && parseTrainingHistory(new TextDecoder().decode(bytes))) ?? null;
}

/** What indexing a folder will take, said before it begins; the user is asked where it is much. */
import * as vscode from "vscode";
import type { FolderForecast } from "../../engine/protocol.ts";
import { durationText, sizeText } from "../../webview/amounts.ts";

/** More than this of the machine's time or disk is not taken unasked. */
const MUCH_MS = 10 * 60_000;
const MUCH_BYTES = 1024 ** 3;

/** In two sentences. */
export function forecastText({ files, nTokensAbout, index, memory }: FolderForecast): string {
  const { l10n } = vscode;
  const counts = l10n.t("{0} files, about {1} tokens.", files.toLocaleString(), nTokensAbout.toLocaleString());
  const costs = l10n.t(
    "The index takes about {0} and {1} of disk, the memory for completions about {2} in the background and {3}.",
    durationText(index.ms),
    sizeText(index.diskBytes),
    durationText(memory.ms),
    sizeText(memory.diskBytes),
  );
  return `${counts} ${costs}`;
}

/** Whether a folder may be indexed: asked only where that is much. */
export async function isAgreed(name: string, forecast: FolderForecast): Promise<boolean> {
  const { index, memory } = forecast;
  if (index.ms + memory.ms < MUCH_MS && index.diskBytes + memory.diskBytes < MUCH_BYTES) return true;
  const { l10n } = vscode;
  const go = l10n.t("Index It");
  const message = l10n.t("Index {0}? {1}", name, forecastText(forecast));
  return (await vscode.window.showInformationMessage(message, go, l10n.t("Not Now"))) === go;
}

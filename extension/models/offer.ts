/** Downloading a model, from the catalogue or by address: said what it takes, agreed to, shown while it arrives. */
import { existsSync } from "node:fs";
import { freemem } from "node:os";
import * as vscode from "vscode";
import { sizeText } from "../../webview/amounts.ts";
import { signalOf } from "../chat/cancellation.ts";
import { CATALOGUE, type CatalogueModel, pathOf } from "./catalogue.ts";
import { type Download, download, fileNameOf } from "./download.ts";
import { downloadForecast } from "./forecast.ts";

/** A line of a list of models to choose from. */
export interface Offer extends vscode.QuickPickItem {
  readonly model: CatalogueModel;
}

/** What can be downloaded into `folder` and is not there yet. */
export function offers(folder: string): Offer[] {
  return CATALOGUE.filter((model) => !existsSync(pathOf(model, folder))).map((model) => ({
    label: `$(cloud-download) ${model.name}`,
    description: `${sizeText(model.sizeBytes)}, ${model.licence}`,
    detail: model.completes ? vscode.l10n.t("Chats and completes code") : vscode.l10n.t("Chats"),
    model,
  }));
}

/** Says what a model of the catalogue takes and downloads it; undefined where the user does not want it. */
export async function downloadOffered(model: CatalogueModel, folder: string): Promise<string | undefined> {
  const { l10n } = vscode;
  const { memoryBytes, diskBytes, fits } = downloadForecast(model, freemem());
  const lines = [
    l10n.t("{0} from {1}, licence {2}.", sizeText(model.sizeBytes), new URL(model.url).host, model.licence),
    l10n.t("Takes about {0} of memory; {1} are free now.", sizeText(memoryBytes), sizeText(freemem())),
    l10n.t("Takes about {0} of disk, with its weights converted once.", sizeText(diskBytes)),
    ...(fits ? [] : [l10n.t("That is more than is free: the machine may become slow.")]),
    l10n.t("This connects to that address; nothing else is sent."),
  ];
  const agree = l10n.t("Download");
  const options = { modal: true, detail: lines.join("\n") };
  const message = l10n.t("Download {0}?", model.name);
  if ((await vscode.window.showInformationMessage(message, options, agree)) !== agree) return undefined;
  return await downloadShown(model.name, { url: model.url, sha256: model.sha256, folder });
}

/** Asks which model, or for an address and a checksum, and downloads; the model is then offered where one is chosen. */
export async function downloadModel(folder: string): Promise<void> {
  const { l10n } = vscode;
  const other: vscode.QuickPickItem & Partial<Offer> = {
    label: `$(link) ${l10n.t("From another address ...")}`,
    alwaysShow: true,
  };
  const choice = await vscode.window.showQuickPick([...offers(folder), other], {
    title: l10n.t("Which model shall be downloaded?"),
    matchOnDetail: true,
  });
  if (!choice) return;
  const path = choice.model ? await downloadOffered(choice.model, folder) : await byUrl(folder);
  if (path === undefined) return;
  const name = path.split(/[\\/]/).at(-1) ?? path;
  void vscode.window.showInformationMessage(l10n.t("{0} is here; it is offered where a model is chosen.", name));
}

async function byUrl(folder: string): Promise<string | undefined> {
  const { l10n } = vscode;
  const url = await vscode.window.showInputBox({
    title: l10n.t("Address of the GGUF file"),
    prompt: l10n.t("This connects to that address; nothing else is sent."),
    placeHolder: "https://.../model.gguf",
    ignoreFocusOut: true,
    validateInput: (text) => (fileNameOf(text.trim()) ? undefined : l10n.t("An https address that ends with .gguf")),
  });
  if (!url) return undefined;
  const sha256 = await vscode.window.showInputBox({
    title: l10n.t("SHA-256 of the file"),
    prompt: l10n.t("From the page that offers the file. Leave it empty to go without the check."),
    ignoreFocusOut: true,
    validateInput: (text) => (/^([0-9a-f]{64})?$/i.test(text.trim()) ? undefined : l10n.t("64 hexadecimal digits")),
  });
  if (sha256 === undefined) return undefined;
  const from = { url: url.trim(), sha256: sha256.trim() || undefined, folder };
  return downloadShown(fileNameOf(from.url) ?? "", from);
}

function downloadShown(name: string, from: Pick<Download, "url" | "sha256" | "folder">): Thenable<string> {
  const options = {
    location: vscode.ProgressLocation.Notification,
    title: vscode.l10n.t("Downloading {0}", name),
    cancellable: true,
  };
  return vscode.window.withProgress(options, async (progress, token) => {
    let shown = 0;
    return download({
      ...from,
      signal: signalOf(token),
      onProgress: (done, total) => {
        const percent = total === null ? 0 : Math.floor((100 * done) / total);
        if (percent === shown && total !== null) return;
        progress.report({ increment: percent - shown, message: total === null ? sizeText(done) : `${percent} %` });
        shown = percent;
      },
    });
  });
}

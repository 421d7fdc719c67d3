/** Choosing the model that completes, or the one that writes answers: looked at and forecast before it is taken. */
import { freemem } from "node:os";
import * as vscode from "vscode";
import { type EngineRequest, type ModelReport, type Progress, requests } from "../../engine/protocol.ts";
import { durationText, sizeText } from "../../webview/amounts.ts";
import { signalOf } from "../chat/cancellation.ts";
import type { EngineHost } from "../engine-host.ts";
import { log } from "../log.ts";
import { settings } from "../settings.ts";
import { showError } from "../user-errors.ts";
import type { CatalogueModel } from "./catalogue.ts";
import { findModels } from "./find.ts";
import { forecastOf } from "./forecast.ts";
import { downloadModel, downloadOffered, offers } from "./offer.ts";

type Purpose = "chat" | "completions";

interface Choice extends vscode.QuickPickItem {
  /** "" for what ships with Longsight. */
  readonly path?: string;
  /** One that is still to be downloaded; where this is not set either, a file is asked for. */
  readonly model?: CatalogueModel;
}

/** `modelsFolder` is where downloaded models lie. */
export function registerModelCommands(engine: EngineHost, modelsFolder: string): vscode.Disposable {
  const command = (id: string, purpose: Purpose) =>
    vscode.commands.registerCommand(`longsight.${id}`, () =>
      chooseModel(engine, purpose, modelsFolder).catch(showError),
    );
  return vscode.Disposable.from(
    command("chooseChatModel", "chat"),
    command("chooseCompletionModel", "completions"),
    vscode.commands.registerCommand("longsight.checkModel", () => checkModel(engine).catch(showError)),
    vscode.commands.registerCommand("longsight.downloadModel", () => downloadModel(modelsFolder).catch(showError)),
  );
}

async function chooseModel(engine: EngineHost, purpose: Purpose, modelsFolder: string): Promise<void> {
  const path = await pickPath(purpose, modelsFolder);
  if (path === undefined) return;
  if (path !== "" && !(await isAgreed(engine, path, purpose))) return;
  await vscode.workspace
    .getConfiguration("longsight")
    .update(`${purpose}.model`, path || undefined, vscode.ConfigurationTarget.Global);
}

/** The path chosen, "" for what ships; undefined where the user has changed their mind. */
async function pickPath(purpose: Purpose, modelsFolder: string): Promise<string | undefined> {
  const { l10n } = vscode;
  const current = purpose === "chat" ? settings.chatModel() : settings.completionModel();
  const shipped: Choice =
    purpose === "chat"
      ? {
          label: l10n.t("No model: quote the folder"),
          detail: l10n.t("Answers at once, in the folder's own words"),
          path: "",
        }
      : { label: l10n.t("Longsight's own model"), detail: l10n.t("Small, ships with the extension"), path: "" };
  const local = await findModels([modelsFolder, ...settings.modelFolders()]);
  const choices: Choice[] = [
    shipped,
    ...local.map(({ name, path, sizeBytes }) => ({
      label: name,
      description: sizeText(sizeBytes),
      detail: path,
      path,
    })),
    { label: `$(file) ${l10n.t("A GGUF file ...")}`, alwaysShow: true },
    { label: l10n.t("To download"), kind: vscode.QuickPickItemKind.Separator },
    ...offers(modelsFolder).filter(({ model }) => purpose === "chat" || model.completes),
  ];
  const title = purpose === "chat" ? l10n.t("Which model writes answers?") : l10n.t("Which model completes code?");
  const choice = await vscode.window.showQuickPick(choices, {
    title,
    placeHolder: current === "" ? undefined : l10n.t("Now: {0}", current),
    matchOnDetail: true,
  });
  if (!choice) return undefined;
  if (choice.path !== undefined) return choice.path;
  if (choice.model) return downloadOffered(choice.model, modelsFolder);
  const [file] = (await vscode.window.showOpenDialog({ title, filters: { GGUF: ["gguf"] } })) ?? [];
  return file?.fsPath;
}

/** Shows what the model is and will take; true where the user wants it. */
async function isAgreed(engine: EngineHost, path: string, purpose: Purpose): Promise<boolean> {
  const { l10n } = vscode;
  const startMs = performance.now();
  const report = await inspect(engine, path);
  if (!report) return false;
  const lookedMs = performance.now() - startMs;
  const problem = problemOf(report, purpose);
  if (problem) {
    void vscode.window.showErrorMessage(problem);
    return false;
  }
  const forecast = forecastOf(report, freemem(), lookedMs);
  const lines = [
    l10n.t("{0} million weights, {1} on disk.", Math.round(report.nParameters / 1e6), sizeText(report.fileBytes)),
    ...(forecast
      ? [l10n.t("Takes about {0} of memory; {1} are free now.", sizeText(forecast.memoryBytes), sizeText(freemem()))]
      : []),
    ...(forecast && forecast.diskBytes > 0
      ? [l10n.t("Converting it once takes about {0} of disk.", sizeText(forecast.diskBytes))]
      : []),
    ...(forecast
      ? [
          forecast.convertMs > 0
            ? l10n.t(
                "Ready about {0} after it is first used, later after about {1}.",
                durationText(forecast.convertMs + forecast.loadMs),
                durationText(forecast.loadMs),
              )
            : l10n.t("Ready about {0} after it is first used.", durationText(forecast.loadMs)),
        ]
      : []),
    ...(forecast && !forecast.fits ? [l10n.t("That is more than is free: the machine may become slow.")] : []),
  ];
  const use = l10n.t("Use It");
  const message = l10n.t("Use {0}?", path.split(/[\\/]/).at(-1) ?? path);
  return (await vscode.window.showInformationMessage(message, { modal: true, detail: lines.join("\n") }, use)) === use;
}

/** One sentence why the model does not do for the purpose; undefined where it does. */
function problemOf({ supported, reason, tokenizer }: ModelReport, purpose: Purpose): string | undefined {
  if (!supported) return reason ?? vscode.l10n.t("Longsight does not run this model; choose another one.");
  if (purpose === "chat" && !tokenizer?.hasChatTemplate) {
    return vscode.l10n.t("This model was not made for chat; choose an instruct or chat model.");
  }
  if (purpose === "completions" && !tokenizer?.fillsInTheMiddle) {
    return vscode.l10n.t("This model cannot complete code at a cursor; choose a code model.");
  }
  return undefined;
}

function inspect(engine: EngineHost, path: string): Promise<ModelReport | undefined> {
  return requestWithProgress(engine, requests.inspect, path, vscode.l10n.t("Looking at {0}", nameOf(path)));
}

/** Has the engine find out how the model that writes answers reads repositories best, and says what it found. */
async function checkModel(engine: EngineHost): Promise<void> {
  const { t } = vscode.l10n;
  const path = settings.chatModel();
  if (path === "") {
    void vscode.window.showInformationMessage(t("No model writes the answers; choose one to check it."));
    return;
  }
  const report = await requestWithProgress(engine, requests.checkModel, path, t("Checking {0}", nameOf(path)));
  if (!report) return;
  const { rows, chosen, isGuessing } = report;
  for (const { way, plan, needles, crossFile, firstTokenMs, tokenMs, rssBytes } of rows) {
    const found = `${needles.right}/${needles.total}, ${crossFile.right}/${crossFile.total}`;
    log.info(`${nameOf(path)}: ${way}, ${plan}: ${found}; ${firstTokenMs} ms, ${tokenMs} ms; ${rssBytes} bytes`);
  }
  const how =
    chosen.way === "memory"
      ? t("{0} reads folders from memory from now on, plan {1}.", nameOf(path), chosen.plan)
      : t("{0} reads folders as text from now on, plan {1}.", nameOf(path), chosen.plan);
  const why = isGuessing ? ` ${t("No way of reading did clearly better than guessing.")}` : "";
  const showLog = t("Show Log");
  if ((await vscode.window.showInformationMessage(how + why, showLog)) === showLog) log.show();
}

const nameOf = (path: string) => path.split(/[\\/]/).at(-1) ?? path;

/** What the engine says of a model, under a notification the user can cancel. */
async function requestWithProgress<R>(
  engine: EngineHost,
  request: EngineRequest<{ path: string }, R>,
  path: string,
  title: string,
): Promise<R | undefined> {
  const options = { location: vscode.ProgressLocation.Notification, title, cancellable: true };
  return vscode.window.withProgress(options, async (progress, token) => {
    let shown = 0;
    const onProgress = (work: Progress) => {
      if (work.kind !== "work" || !work.total) return;
      const share = Math.floor((100 * work.done) / work.total);
      progress.report({ increment: share - shown, message: `${share} %` });
      shown = share;
    };
    return engine.request(request, { path }, { signal: signalOf(token), onProgress });
  });
}

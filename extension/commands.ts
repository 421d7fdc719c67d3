/** The commands of the palette and of the status bar's menu. */
import * as vscode from "vscode";
import { sizeText } from "../webview/amounts.ts";
import { folderBytes } from "./diagnostics/facts.ts";
import type { EngineHost } from "./engine-host.ts";
import { log } from "./log.ts";
import { MENU_COMMAND } from "./status.ts";
import { showError } from "./user-errors.ts";
import { type Encoding, encodingText } from "./workspace/encoding.ts";
import type { FolderIndex } from "./workspace/folder-index.ts";
import { freshness } from "./workspace/freshness.ts";
import type { Indexes } from "./workspace/indexes.ts";

/** Registers the commands that need no view of their own. */
export function registerCommands(engine: EngineHost, indexes: Indexes, encoding: Encoding): vscode.Disposable {
  const command = (id: string, run: () => unknown) => vscode.commands.registerCommand(`longsight.${id}`, run);
  return vscode.Disposable.from(
    command("showLog", () => log.show()),
    command("restartEngine", async () => {
      await engine.end();
      await indexes.updateAll();
    }),
    command("clearStores", () => clearStores(engine, indexes).catch(showError)),
    command("toggleEncoding", () => encoding.pause(!encoding.isPaused).catch(showError)),
    command("updateIndex", () => updateIndex(indexes)),
    vscode.commands.registerCommand(MENU_COMMAND, () => showMenu(indexes, encoding)),
  );
}

/** Brings all indexes up to date under a notification the user can cancel. */
async function updateIndex(indexes: Indexes): Promise<void> {
  if (indexes.all().length === 0) {
    void vscode.window.showInformationMessage(vscode.l10n.t("No folder is open; open one to index it."));
    return;
  }
  const options = {
    location: vscode.ProgressLocation.Notification,
    title: vscode.l10n.t("Longsight: bringing the index up to date"),
    cancellable: true,
  };
  await vscode.window.withProgress(options, async (progress, token) => {
    const said = (index: FolderIndex) => `${freshness(index)}${index.forecast ? ` (${index.forecast})` : ""}`;
    const report = () => progress.report({ message: indexes.all().map(said).join(", ") });
    const listeners = [
      indexes.onDidChange(report),
      token.onCancellationRequested(() => {
        for (const index of indexes.all()) index.cancel();
      }),
    ];
    await indexes.updateAll(true);
    for (const listener of listeners) listener.dispose();
  });
}

/** Deletes every index and memory, of all workspaces, once the user has agreed; the open folders are indexed anew. */
async function clearStores(engine: EngineHost, indexes: Indexes): Promise<void> {
  const { l10n } = vscode;
  const size = sizeText(await folderBytes(engine.cacheFolder));
  const clear = l10n.t("Delete");
  const detail = l10n.t("{0} on disk. Open folders are indexed anew; nothing of yours is lost.", size);
  const message = l10n.t("Delete all indexes and memories?");
  if ((await vscode.window.showWarningMessage(message, { modal: true, detail }, clear)) !== clear) return;
  try {
    await engine.clearStores();
  } finally {
    await indexes.updateAll();
  }
}

async function showMenu(indexes: Indexes, encoding: Encoding): Promise<void> {
  const { l10n } = vscode;
  const separator = { label: "", kind: vscode.QuickPickItemKind.Separator, command: "" };
  const entries: (vscode.QuickPickItem & { command: string })[] = [
    ...indexes.all().map((index) => ({
      label: `$(folder) ${index.folder.name}`,
      description: freshness(index),
      detail: encodingText(encoding.of(index)) ?? index.forecast ?? undefined,
      command: "longsight.updateIndex",
    })),
    ...(encoding.isUnderWay
      ? [
          encoding.isPaused
            ? { label: `$(debug-start) ${l10n.t("Go on encoding the memory")}`, command: "longsight.toggleEncoding" }
            : { label: `$(debug-pause) ${l10n.t("Pause encoding the memory")}`, command: "longsight.toggleEncoding" },
        ]
      : []),
    separator,
    { label: `$(comment-discussion) ${l10n.t("Ask about the workspace")}`, command: "longsight.ask" },
    { label: `$(graph) ${l10n.t("Show diagnostics")}`, command: "longsight.showDiagnostics" },
    {
      label: `$(symbol-misc) ${l10n.t("Choose what completes code")}`,
      command: "longsight.chooseCompletionModel",
    },
    { label: `$(symbol-misc) ${l10n.t("Choose what writes answers")}`, command: "longsight.chooseChatModel" },
    { label: `$(beaker) ${l10n.t("Check how the model reads folders best")}`, command: "longsight.checkModel" },
    { label: `$(cloud-download) ${l10n.t("Download a model")}`, command: "longsight.downloadModel" },
    { label: `$(sync) ${l10n.t("Bring the index up to date")}`, command: "longsight.updateIndex" },
    { label: `$(debug-restart) ${l10n.t("Restart the engine")}`, command: "longsight.restartEngine" },
    { label: `$(output) ${l10n.t("Show the log")}`, command: "longsight.showLog" },
    { label: `$(gear) ${l10n.t("Settings")}`, command: "longsight.openSettings" },
  ];
  const choice = await vscode.window.showQuickPick(entries, { title: "Longsight" });
  if (choice?.command === "longsight.openSettings") {
    await vscode.commands.executeCommand("workbench.action.openSettings", "@ext:longsight.longsight");
  } else if (choice?.command) await vscode.commands.executeCommand(choice.command);
}

/** The status bar item: what the engine and the indexes are doing, and a menu of what can be done. */
import * as vscode from "vscode";
import type { EngineHost } from "./engine-host.ts";
import { type Encoding, encodingText } from "./workspace/encoding.ts";
import { freshness } from "./workspace/freshness.ts";
import type { Indexes } from "./workspace/indexes.ts";

export const MENU_COMMAND = "longsight.showMenu";

/** Keeps the item true; returns what ends it. */
export function createStatus(engine: EngineHost, indexes: Indexes, encoding: Encoding): vscode.Disposable {
  const item = vscode.window.createStatusBarItem("longsight.status", vscode.StatusBarAlignment.Right, 100);
  item.name = "Longsight";
  item.command = MENU_COMMAND;
  const show = () => {
    const lines = indexes.all().flatMap((index) => {
      const { folder, forecast } = index;
      const memory = encodingText(encoding.of(index));
      return [`${folder.name}: ${freshness(index)}`, ...(forecast ? [forecast] : []), ...(memory ? [memory] : [])];
    });
    const { icon, text, isFailure } = summary(engine, indexes);
    item.text = `$(${icon}) ${text}`;
    item.tooltip = [text, ...lines].join("\n");
    item.accessibilityInformation = { label: [text, ...lines].join(". ") };
    item.backgroundColor = isFailure ? new vscode.ThemeColor("statusBarItem.errorBackground") : undefined;
  };
  show();
  item.show();
  return vscode.Disposable.from(
    item,
    engine.onDidChangeState(show),
    indexes.onDidChange(show),
    encoding.onDidChange(show),
  );
}

/** What the language status says of the folder of the file that is open; returns what ends it. */
export function createLanguageStatus(indexes: Indexes): vscode.Disposable {
  const item = vscode.languages.createLanguageStatusItem("longsight.index", { scheme: "file" });
  item.name = "Longsight";
  item.command = { command: MENU_COMMAND, title: vscode.l10n.t("Menu") };
  const show = () => {
    const index = indexes.of(vscode.window.activeTextEditor?.document.uri);
    item.text = index ? freshness(index) : vscode.l10n.t("No folder is open");
    item.detail = "Longsight";
    item.busy = index?.state.kind === "indexing";
    item.severity =
      index?.state.kind === "failed"
        ? vscode.LanguageStatusSeverity.Warning
        : vscode.LanguageStatusSeverity.Information;
  };
  show();
  return vscode.Disposable.from(item, indexes.onDidChange(show), vscode.window.onDidChangeActiveTextEditor(show));
}

/** The item of a workspace that is not trusted; returns what ends it. */
export function createRestrictedStatus(): vscode.Disposable {
  const item = vscode.window.createStatusBarItem("longsight.status", vscode.StatusBarAlignment.Right, 100);
  item.name = "Longsight";
  item.text = "$(shield) Longsight";
  item.tooltip = vscode.l10n.t("Longsight is off until the workspace is trusted. Click to manage trust.");
  item.command = "workbench.trust.manage";
  item.show();
  return item;
}

function summary(engine: EngineHost, indexes: Indexes): { icon: string; text: string; isFailure?: boolean } {
  if (engine.state === "failed")
    return { icon: "error", text: vscode.l10n.t("Longsight: engine stopped"), isFailure: true };
  const states = indexes.all().map(({ state }) => state);
  const indexing = states.find((state) => state.kind === "indexing");
  if (indexing?.kind === "indexing") {
    const share = indexing.total ? ` ${Math.floor((100 * indexing.done) / indexing.total)} %` : "";
    return { icon: "loading~spin", text: `Longsight: ${vscode.l10n.t("indexing")}${share}` };
  }
  if (states.some(({ kind }) => kind === "failed"))
    return { icon: "warning", text: vscode.l10n.t("Longsight: not indexed") };
  return { icon: "eye", text: "Longsight" };
}

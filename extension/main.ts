/** Where the editor enters: makes the parts and connects them. Nothing heavy happens here; the engine starts when needed. */
import * as vscode from "vscode";
import { registerCommands } from "./commands.ts";
import { CompletionProvider } from "./completion/provider.ts";
import { EngineHost } from "./engine-host.ts";
import { log } from "./log.ts";
import { settings } from "./settings.ts";
import { createStatus } from "./status.ts";
import { Indexes } from "./workspace/indexes.ts";

let running: EngineHost | undefined;

export function activate(context: vscode.ExtensionContext): void {
  const startMs = performance.now();
  const engine = new EngineHost(context);
  running = engine;
  context.subscriptions.push(log, engine);
  if (vscode.workspace.isTrusted) start(context, engine);
  else {
    log.info("The workspace is not trusted: no engine, no index, no completions.");
    context.subscriptions.push(vscode.workspace.onDidGrantWorkspaceTrust(() => start(context, engine)));
  }
  log.info(`Activated in ${(performance.now() - startMs).toFixed(1)} ms.`);
}

/** Everything that reads the workspace or starts the engine; only in trusted workspaces. */
function start(context: vscode.ExtensionContext, engine: EngineHost): void {
  const indexes = new Indexes(engine);
  const completions = new CompletionProvider(engine, () => indexes.revision);
  context.subscriptions.push(indexes, completions, createStatus(engine, indexes), registerCommands(engine, indexes));
  if (settings.indexOnOpen()) void indexes.updateAll();
}

/** Gives the engine the moment it needs to close its stores. */
export async function deactivate(): Promise<void> {
  await running?.stop();
}

/** Where the editor enters: makes the parts and connects them. Nothing heavy happens here; the engine starts when needed. */
import * as vscode from "vscode";
import { Answerer } from "./chat/answerer.ts";
import { registerMcp } from "./chat/mcp.ts";
import { registerModelProvider } from "./chat/model-provider.ts";
import { registerParticipant } from "./chat/participant.ts";
import { registerSearchTool } from "./chat/search-tool.ts";
import { ChatView } from "./chat/view.ts";
import { registerCommands } from "./commands.ts";
import { CompletionProvider } from "./completion/provider.ts";
import { DiagnosticsPanel } from "./diagnostics/panel.ts";
import { EngineHost } from "./engine-host.ts";
import { log } from "./log.ts";
import { registerModelCommands } from "./models/choose.ts";
import { ServerKey } from "./models/server-key.ts";
import { settings } from "./settings.ts";
import { createLanguageStatus, createRestrictedStatus, createStatus } from "./status.ts";
import { Encoding } from "./workspace/encoding.ts";
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
    const status = createRestrictedStatus();
    const granted = vscode.workspace.onDidGrantWorkspaceTrust(() => {
      status.dispose();
      start(context, engine);
    });
    context.subscriptions.push(status, granted);
  }
  log.info(`Activated in ${(performance.now() - startMs).toFixed(1)} ms.`);
}

/** Everything that reads the workspace or starts the engine; only in trusted workspaces. */
function start(context: vscode.ExtensionContext, engine: EngineHost): void {
  const indexes = new Indexes(engine);
  const encoding = new Encoding(engine, indexes);
  const completions = new CompletionProvider(engine, () => indexes.revision);
  const serverKey = new ServerKey(context.secrets);
  const answerer = new Answerer(engine, serverKey, () => encoding.follow());
  context.subscriptions.push(
    indexes,
    encoding,
    completions,
    new ChatView(context, engine, indexes, answerer),
    new DiagnosticsPanel(context, engine, indexes, { counts: completions.counts, encoding }),
    createStatus(engine, indexes, encoding),
    createLanguageStatus(indexes),
    registerCommands(engine, indexes, encoding),
    registerParticipant(indexes, answerer),
    registerModelProvider(engine, indexes, answerer),
    registerSearchTool(indexes, answerer),
    vscode.commands.registerCommand("longsight.setServerKey", () => serverKey.ask()),
    registerModelCommands(engine, vscode.Uri.joinPath(context.globalStorageUri, "models").fsPath),
    registerMcp(context, engine, indexes),
  );
  if (settings.indexOnOpen()) void indexes.updateAll();
}

/** Gives an engine of this window's own the moment it needs to close its stores. */
export async function deactivate(): Promise<void> {
  await running?.leave();
}

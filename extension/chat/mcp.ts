/** Offers the workspace's search to agents as an MCP server; the editor starts it when one wants it. */
import { join } from "node:path";
import * as vscode from "vscode";
import type { EngineHost } from "../engine-host.ts";
import type { Indexes } from "../workspace/indexes.ts";

export function registerMcp(context: vscode.ExtensionContext, engine: EngineHost, indexes: Indexes): vscode.Disposable {
  const changed = new vscode.EventEmitter<void>();
  const provider = vscode.lm.registerMcpServerDefinitionProvider("longsight.mcp", {
    onDidChangeMcpServerDefinitions: changed.event,
    provideMcpServerDefinitions: () => {
      const folders = indexes.all().map(({ folder }) => folder.uri.fsPath);
      if (folders.length === 0) return [];
      const script = join(context.extensionPath, "dist", "mcp.js");
      const args = ["--disable-warning=ExperimentalWarning", script, ...folders];
      // The same index as the extension's own engine.
      const env = { ELECTRON_RUN_AS_NODE: "1", LONGSIGHT_CACHE: engine.cacheFolder };
      return [new vscode.McpStdioServerDefinition("Longsight", process.execPath, args, env)];
    },
  });
  const listener = vscode.workspace.onDidChangeWorkspaceFolders(() => changed.fire());
  return vscode.Disposable.from(provider, listener, changed);
}

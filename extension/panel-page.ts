/** The HTML around a panel's script: nothing may be loaded but the extension's own files. */
import { randomBytes } from "node:crypto";
import * as vscode from "vscode";

/** Prepares `webview` to show the bundle `name` of dist/webview. */
export function setPage(webview: vscode.Webview, extensionUri: vscode.Uri, name: string, title: string): void {
  const folder = vscode.Uri.joinPath(extensionUri, "dist", "webview");
  webview.options = { enableScripts: true, localResourceRoots: [folder] };
  const file = (extension: string) => webview.asWebviewUri(vscode.Uri.joinPath(folder, `${name}.${extension}`));
  const nonce = randomBytes(16).toString("base64");
  const policy = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src ${webview.cspSource}`,
    `font-src ${webview.cspSource}`,
  ].join("; ");
  webview.html = `<!DOCTYPE html>
<html lang="${vscode.env.language}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="${file("css")}">
<title>${title}</title>
</head>
<body><script nonce="${nonce}" src="${file("js")}"></script></body>
</html>`;
}

/** The extension's output channel. */
import * as vscode from "vscode";

export const log = vscode.window.createOutputChannel("Longsight", { log: true });

/** `@longsight` in the built-in Chat view: the panel's answers, with the editor's own references. */
import * as vscode from "vscode";
import type { Citation } from "../../engine/protocol.ts";
import type { Mention } from "../../webview/messages.ts";
import { isCancelled, sentenceOf } from "../user-errors.ts";
import type { FolderIndex } from "../workspace/folder-index.ts";
import { freshness } from "../workspace/freshness.ts";
import type { Indexes } from "../workspace/indexes.ts";
import type { Answerer } from "./answerer.ts";
import { signalOf } from "./cancellation.ts";
import { selectionMention } from "./mentions.ts";

export function registerParticipant(indexes: Indexes, answerer: Answerer): vscode.Disposable {
  const participant = vscode.chat.createChatParticipant("longsight.participant", async (request, _, stream, token) => {
    const index = indexes.of(vscode.window.activeTextEditor?.document.uri);
    if (!index) {
      stream.markdown(vscode.l10n.t("No folder is open; open one to ask about it."));
      return;
    }
    stream.progress(vscode.l10n.t("Looking through {0}", index.folder.name));
    let cited: readonly Citation[] = [];
    try {
      const answer = await answerer.ask(index, request.prompt, mentionsOf(request, index), {
        signal: signalOf(token),
        onText: (piece) => stream.markdown(new vscode.MarkdownString(piece)),
      });
      cited = answer.citations;
    } catch (error) {
      if (!isCancelled(error)) return { errorDetails: { message: sentenceOf(error) } };
    }
    for (const [at, citation] of cited.entries()) {
      const location = locationOf(index, citation);
      stream.reference(location);
      stream.markdown(`${at === 0 ? "\n\n" : ""}${at + 1}. `);
      stream.anchor(location, `${citation.file.split("/").at(-1)}:${citation.startLine}`);
      stream.markdown(`${citation.symbol ? ` \`${citation.symbol}\`` : ""}\n`);
    }
    stream.markdown(`\n*${freshness(index)}*`);
    return undefined;
  });
  participant.iconPath = new vscode.ThemeIcon("eye");
  return participant;
}

function locationOf({ folder }: FolderIndex, { file, startLine, endLine }: Citation): vscode.Location {
  return new vscode.Location(vscode.Uri.joinPath(folder.uri, file), new vscode.Range(startLine - 1, 0, endLine - 1, 0));
}

/** What the editor attaches by itself: the open file, which is no wish to look only there, or what is selected in it. */
const IMPLICIT = "vscode.implicit";

/** The files and places attached to the request, as far as they lie in the folder. */
function mentionsOf(request: vscode.ChatRequest, index: FolderIndex): Mention[] {
  return request.references.flatMap(({ id, value }): Mention[] => {
    if (id.startsWith(IMPLICIT)) {
      const selected = id === `${IMPLICIT}.selection` ? selectionMention(index) : undefined;
      return selected ? [selected] : [];
    }
    const uri = value instanceof vscode.Uri ? value : value instanceof vscode.Location ? value.uri : undefined;
    if (!uri || vscode.workspace.getWorkspaceFolder(uri)?.uri.toString() !== index.folder.uri.toString()) return [];
    const path = vscode.workspace.asRelativePath(uri, false);
    return [{ kind: "file", label: path, path }];
  });
}

/**
 * Longsight's models for the editor's own chat and for other extensions. "Repository" answers every message from the
 * open folder, quoted and cited; the chat model the user has chosen, if any, is a model like any other.
 */
import * as vscode from "vscode";
import { requests } from "../../engine/protocol.ts";
import type { EngineHost } from "../engine-host.ts";
import { settings } from "../settings.ts";
import type { Indexes } from "../workspace/indexes.ts";
import type { Answerer } from "./answerer.ts";
import { signalOf } from "./cancellation.ts";

const VENDOR = "longsight";
const REPOSITORY = "repository";
const LOCAL = "local";
/** About: characters of code in one token. */
const CHARS_PER_TOKEN = 3.5;
/** Effective: what a question may hold. */
const REPOSITORY_INPUT_TOKENS = 5000;
const LOCAL_INPUT_TOKENS = 3500;
const OUTPUT_TOKENS = 512;

export function registerModelProvider(engine: EngineHost, indexes: Indexes, answerer: Answerer): vscode.Disposable {
  const changed = new vscode.EventEmitter<void>();
  const provider = vscode.lm.registerLanguageModelChatProvider(VENDOR, {
    onDidChangeLanguageModelChatInformation: changed.event,
    provideLanguageModelChatInformation: () => [repositoryModel(), ...localModel()],
    provideTokenCount: async (_, text) =>
      Math.ceil((typeof text === "string" ? text : textOf(text)).length / CHARS_PER_TOKEN),
    provideLanguageModelChatResponse: async ({ id }, messages, _, progress, token) => {
      const signal = signalOf(token);
      const say = (text: string) => progress.report(new vscode.LanguageModelTextPart(text));
      if (id === LOCAL) {
        const prompt = messages.map((message) => ({ role: roleOf(message), content: textOf(message) }));
        const params = { model: settings.chatModel(), prompt, maxTokens: OUTPUT_TOKENS };
        const onProgress = (part: { kind: string; text?: string }) => {
          if (part.kind === "text" && part.text !== undefined) say(part.text);
        };
        await engine.request(requests.generate, params, { signal, onProgress });
        return;
      }
      const index = indexes.of(vscode.window.activeTextEditor?.document.uri);
      const question = messages.findLast(({ role }) => role === vscode.LanguageModelChatMessageRole.User);
      if (!index || !question) {
        say(vscode.l10n.t("No folder is open; open one to ask about it."));
        return;
      }
      const { citations } = await answerer.ask(index, textOf(question), [], { signal, onText: say, quoteOnly: true });
      const places = citations.map(({ file, startLine, endLine }, at) => `${at + 1}. ${file}:${startLine}-${endLine}`);
      if (places.length > 0) say(`\n\n${places.join("\n")}`);
    },
  });
  const listener = vscode.workspace.onDidChangeConfiguration((event) => {
    if (event.affectsConfiguration("longsight.chat.model")) changed.fire();
  });
  // Before somebody has asked once, the chat view does not offer the models of a provider.
  void vscode.lm.selectChatModels({ vendor: VENDOR });
  return vscode.Disposable.from(provider, listener, changed);
}

function repositoryModel(): vscode.LanguageModelChatInformation {
  return {
    id: REPOSITORY,
    name: vscode.l10n.t("Longsight Repository"),
    family: VENDOR,
    version: "1",
    tooltip: vscode.l10n.t("Answers from the open folder, quoted with their places. Runs on this machine."),
    maxInputTokens: REPOSITORY_INPUT_TOKENS,
    maxOutputTokens: OUTPUT_TOKENS,
    capabilities: {},
  };
}

function localModel(): vscode.LanguageModelChatInformation[] {
  const path = settings.chatModel();
  if (!path) return [];
  const name = (path.split(/[\\/]/).at(-1) ?? path).replace(/\.gguf$/i, "");
  return [
    {
      id: LOCAL,
      name,
      family: VENDOR,
      version: "1",
      tooltip: vscode.l10n.t("Runs on this machine from {0}", path),
      maxInputTokens: LOCAL_INPUT_TOKENS,
      maxOutputTokens: OUTPUT_TOKENS,
      capabilities: {},
    },
  ];
}

function roleOf({ role }: vscode.LanguageModelChatRequestMessage): "user" | "assistant" {
  return role === vscode.LanguageModelChatMessageRole.Assistant ? "assistant" : "user";
}

function textOf({ content }: vscode.LanguageModelChatRequestMessage): string {
  return content.map((part) => (part instanceof vscode.LanguageModelTextPart ? part.value : "")).join("");
}

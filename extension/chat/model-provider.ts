/**
 * Longsight's models for the editor's own chat and for other extensions. "Repository" answers every message from the
 * open folder, quoted and cited; the chat model the user has chosen, if any, is a model like any other.
 */
import * as vscode from "vscode";
import { type ChatTraits, requests } from "../../engine/protocol.ts";
import type { EngineHost } from "../engine-host.ts";
import { log } from "../log.ts";
import { settings } from "../settings.ts";
import { sentenceOf } from "../user-errors.ts";
import type { Indexes } from "../workspace/indexes.ts";
import type { Answerer } from "./answerer.ts";
import { signalOf } from "./cancellation.ts";
import { engineMessages, engineTools, textOf } from "./model-messages.ts";

const VENDOR = "longsight";
const REPOSITORY = "repository";
const LOCAL = "local";
/** About: characters of code in one token. */
const CHARS_PER_TOKEN = 3.5;
/** Effective: what a question may hold. */
const REPOSITORY_INPUT_TOKENS = 5000;
/** What a laptop reads in a minute or so; agents fill whatever they are told there is. */
const MAX_INPUT_TOKENS = 16_000;
const OUTPUT_TOKENS = 512;

export function registerModelProvider(engine: EngineHost, indexes: Indexes, answerer: Answerer): vscode.Disposable {
  const changed = new vscode.EventEmitter<void>();
  const traits = new TraitsCache(engine);
  const provider = vscode.lm.registerLanguageModelChatProvider(VENDOR, {
    onDidChangeLanguageModelChatInformation: changed.event,
    provideLanguageModelChatInformation: async () => [repositoryModel(), ...(await localModel(traits))],
    provideTokenCount: async (_, text) =>
      Math.ceil((typeof text === "string" ? text : textOf(text.content)).length / CHARS_PER_TOKEN),
    provideLanguageModelChatResponse: async ({ id, capabilities }, messages, options, progress, token) => {
      const signal = signalOf(token);
      const say = (text: string) => progress.report(new vscode.LanguageModelTextPart(text));
      if (id === LOCAL) {
        const tools = capabilities.toolCalling ? engineTools(options.tools) : [];
        const mustCallTool = tools.length > 0 && options.toolMode === vscode.LanguageModelChatToolMode.Required;
        const prompt = engineMessages(messages);
        const params = { model: settings.chatModel(), prompt, tools, mustCallTool, maxTokens: OUTPUT_TOKENS };
        const onProgress = (part: { kind: string; text?: string }) => {
          if (part.kind === "text" && part.text !== undefined) say(part.text);
        };
        const { toolCalls } = await engine.request(requests.generate, params, { signal, onProgress });
        for (const { id: callId, name, arguments: input } of toolCalls) {
          progress.report(new vscode.LanguageModelToolCallPart(callId, name, input));
        }
        return;
      }
      const index = indexes.of(vscode.window.activeTextEditor?.document.uri);
      const question = messages.findLast(({ role }) => role === vscode.LanguageModelChatMessageRole.User);
      if (!index || !question) {
        say(vscode.l10n.t("No folder is open; open one to ask about it."));
        return;
      }
      const { citations } = await answerer.ask(index, textOf(question.content), [], {
        signal,
        onText: say,
        quoteOnly: true,
      });
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

/** What the chat models chosen so far can do, asked of the engine once for each. */
class TraitsCache {
  readonly #engine: EngineHost;
  readonly #known = new Map<string, ChatTraits>();

  constructor(engine: EngineHost) {
    this.#engine = engine;
  }

  /** Undefined for a model that cannot be read; the log says why. */
  async of(path: string): Promise<ChatTraits | undefined> {
    const known = this.#known.get(path);
    if (known) return known;
    try {
      const traits = await this.#engine.ask(requests.chatTraits, { path });
      this.#known.set(path, traits);
      return traits;
    } catch (error) {
      log.warn(`The model that writes answers cannot be offered: ${sentenceOf(error)}`);
      return undefined;
    }
  }
}

async function localModel(traits: TraitsCache): Promise<vscode.LanguageModelChatInformation[]> {
  const path = settings.chatModel();
  const found = path ? await traits.of(path) : undefined;
  if (!found) return [];
  const name = (path.split(/[\\/]/).at(-1) ?? path).replace(/\.gguf$/i, "");
  return [
    {
      id: LOCAL,
      name,
      family: VENDOR,
      version: "1",
      tooltip: vscode.l10n.t("Runs on this machine from {0}", path),
      maxInputTokens: Math.max(1, Math.min(found.contextLength - OUTPUT_TOKENS, MAX_INPUT_TOKENS)),
      maxOutputTokens: OUTPUT_TOKENS,
      // Only models that call tools are offered in the chat's mode Agent.
      capabilities: { toolCalling: found.callsTools },
    },
  ];
}

/** Asks the engine about one folder, whoever wants to know: the panel, the participant, a tool. */
import { type AskResult, type Citation, requests } from "../../engine/protocol.ts";
import type { Mention } from "../../webview/messages.ts";
import type { EngineHost } from "../engine-host.ts";
import { chatWithServer } from "../models/server.ts";
import type { ServerKey } from "../models/server-key.ts";
import { settings } from "../settings.ts";
import type { FolderIndex } from "../workspace/folder-index.ts";

/** Enough for the passages and the answer; servers with less are not worth having. */
const SERVER_CONTEXT_TOKENS = 8192;

export interface AnswerOptions {
  readonly signal?: AbortSignal;
  readonly onCitations?: (citations: readonly Citation[]) => void;
  readonly onText?: (piece: string) => void;
  /** What is done before there is an answer, in words: indexing, converting a model. */
  readonly onWork?: (what: string) => void;
  /** Quote the folder, whatever model is chosen to write. */
  readonly quoteOnly?: boolean;
  readonly maxCitations?: number;
}

export class Answerer {
  readonly #engine: EngineHost;

  readonly #serverKey: ServerKey;
  readonly #onAnswered: () => void;

  /** `onAnswered`: a model may be encoding what it lacked from then on. */
  constructor(engine: EngineHost, serverKey: ServerKey, onAnswered: () => void) {
    this.#engine = engine;
    this.#serverKey = serverKey;
    this.#onAnswered = onAnswered;
  }

  /** Errors: LongsightError. */
  async ask(
    index: FolderIndex,
    question: string,
    mentions: readonly Mention[],
    { signal, onCitations, onText, onWork, quoteOnly, maxCitations }: AnswerOptions = {},
  ): Promise<AskResult> {
    const url = quoteOnly ? "" : settings.serverUrl();
    const params = {
      folder: index.folder.uri.fsPath,
      question: withMentions(question, mentions),
      model: quoteOnly ? undefined : settings.chatModel() || undefined,
      maxCitations: maxCitations ?? settings.maxCitations(),
      clientModel: url ? { name: settings.serverModel() || url, contextTokens: SERVER_CONTEXT_TOKENS } : undefined,
      paths: mentions.flatMap(({ kind, path }) => (path !== undefined && kind !== "symbol" ? [path] : [])),
    };
    const answer = await this.#engine.request(requests.ask, params, {
      signal,
      write: async (request) => {
        const apiKey = await this.#serverKey.get();
        await chatWithServer({ url, model: settings.serverModel(), apiKey }, request);
      },
      onProgress: (progress) => {
        if (progress.kind === "citations") onCitations?.(progress.citations);
        if (progress.kind === "text") onText?.(progress.text);
        if (progress.kind === "work") {
          const share = progress.total ? ` ${Math.floor((100 * progress.done) / progress.total)} %` : "";
          onWork?.(`${progress.phase}${share}`);
        }
      },
    });
    if (params.model !== undefined) this.#onAnswered();
    return answer;
  }
}

/** A symbol or a selection says in words what is meant; a file or folder only where to look. */
function withMentions(question: string, mentions: readonly Mention[]): string {
  const said = mentions.flatMap(({ kind, label, text }) => {
    if (kind === "symbol") return [label];
    return kind === "selection" && text ? [text] : [];
  });
  return [question, ...said].join("\n");
}

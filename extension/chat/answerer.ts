/** Asks the engine about one folder, whoever wants to know: the panel, the participant, a tool. */
import { type AskResult, type Citation, requests } from "../../engine/protocol.ts";
import type { Mention } from "../../webview/messages.ts";
import type { EngineHost } from "../engine-host.ts";
import { settings } from "../settings.ts";
import type { FolderIndex } from "../workspace/folder-index.ts";

export interface AnswerOptions {
  readonly signal?: AbortSignal;
  readonly onCitations?: (citations: readonly Citation[]) => void;
  readonly onText?: (piece: string) => void;
  /** Quote the folder, whatever model is chosen to write. */
  readonly quoteOnly?: boolean;
  readonly maxCitations?: number;
}

export class Answerer {
  readonly #engine: EngineHost;

  constructor(engine: EngineHost) {
    this.#engine = engine;
  }

  /** Errors: LongsightError. */
  ask(
    index: FolderIndex,
    question: string,
    mentions: readonly Mention[],
    { signal, onCitations, onText, quoteOnly, maxCitations }: AnswerOptions = {},
  ): Promise<AskResult> {
    const params = {
      folder: index.folder.uri.fsPath,
      question: withMentions(question, mentions),
      model: quoteOnly ? undefined : settings.chatModel() || undefined,
      maxCitations: maxCitations ?? settings.maxCitations(),
      paths: mentions.flatMap(({ kind, path }) => (path !== undefined && kind !== "symbol" ? [path] : [])),
    };
    return this.#engine.request(requests.ask, params, {
      signal,
      onProgress: (progress) => {
        if (progress.kind === "citations") onCitations?.(progress.citations);
        if (progress.kind === "text") onText?.(progress.text);
      },
    });
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

/**
 * What the chat panel and the extension tell each other. The extension owns the conversation; the panel shows it and
 * reports what the user does. `isFromPanel` guards the extension against whatever else may arrive.
 */
import type { Citation } from "../engine/protocol.ts";

/** Something of the workspace that a question is about. */
export interface Mention {
  readonly kind: "file" | "folder" | "symbol" | "selection";
  /** As shown and as typed: "src/a.ts", "src/", "fine_for", "src/a.ts:3-9". */
  readonly label: string;
  /** A file's or folder's path below the workspace folder; absent for a symbol. */
  readonly path?: string;
  /** The selected text. */
  readonly text?: string;
}

/** A question and what became of it. */
export interface Turn {
  readonly id: number;
  readonly question: string;
  readonly mentions: readonly Mention[];
  /** The URI and the name of the workspace folder that was asked. */
  readonly folder: string;
  readonly folderName: string;
  /** Markdown; grows while `state` is "asking". */
  readonly answer: string;
  readonly citations: readonly Citation[];
  readonly state: "asking" | "done" | "stopped" | "failed";
  /** What is being done before there is an answer. */
  readonly work?: string;
  /** One sentence, where it failed. */
  readonly error?: string;
  /** What wrote the answer; "extractive" where the folder is quoted. */
  readonly model?: string;
  /** How firmly the first citation is first, as the engine says it. */
  readonly stability?: number | null;
  /** How the index stood, in one line. */
  readonly freshness: string;
  readonly totalMs?: number;
}

export type FromPanel =
  | { readonly type: "ready" }
  | { readonly type: "ask"; readonly question: string; readonly mentions: readonly Mention[] }
  | { readonly type: "stop" }
  | { readonly type: "regenerate"; readonly id: number }
  | {
      readonly type: "open";
      readonly folder: string;
      readonly file: string;
      readonly startLine: number;
      readonly endLine: number;
    }
  | { readonly type: "copy" | "insert" | "apply"; readonly code: string }
  | { readonly type: "findMentions"; readonly serial: number; readonly query: string }
  | { readonly type: "chooseFolder" };

export type ToPanel =
  | {
      readonly type: "snapshot";
      readonly turns: readonly Turn[];
      readonly strings: Record<string, string>;
      readonly status: Status;
    }
  | { readonly type: "turn"; readonly turn: Turn }
  | { readonly type: "status"; readonly status: Status }
  | { readonly type: "mentions"; readonly serial: number; readonly mentions: readonly Mention[] }
  | { readonly type: "compose"; readonly question: string; readonly mentions: readonly Mention[] };

/** What is shown around the conversation. */
export interface Status {
  /** Empty where no folder is open. */
  readonly folderName: string;
  /** Whether there is another folder to choose. */
  readonly hasFolders: boolean;
  readonly freshness: string;
  /** What writes the answers, in words. */
  readonly writer: string;
}

const SHAPES: Record<FromPanel["type"], Record<string, "string" | "number" | "mentions">> = {
  ready: {},
  ask: { question: "string", mentions: "mentions" },
  stop: {},
  regenerate: { id: "number" },
  open: { folder: "string", file: "string", startLine: "number", endLine: "number" },
  copy: { code: "string" },
  insert: { code: "string" },
  apply: { code: "string" },
  findMentions: { serial: "number", query: "string" },
  chooseFolder: {},
};

/** Whether a message from the panel's page is one of ours, with fields of the right types. */
export function isFromPanel(message: unknown): message is FromPanel {
  if (typeof message !== "object" || message === null) return false;
  const fields = message as Record<string, unknown>;
  if (typeof fields.type !== "string" || !Object.hasOwn(SHAPES, fields.type)) return false;
  return Object.entries(SHAPES[fields.type as FromPanel["type"]]).every(([name, type]) =>
    type === "mentions" ? isMentions(fields[name]) : typeof fields[name] === type,
  );
}

function isMentions(value: unknown): value is Mention[] {
  const isText = (one: unknown) => one === undefined || typeof one === "string";
  return (
    Array.isArray(value) &&
    value.every(
      (mention: Partial<Mention> | null) =>
        ["file", "folder", "symbol", "selection"].includes(mention?.kind ?? "") &&
        typeof mention?.label === "string" &&
        isText(mention.path) &&
        isText(mention.text),
    )
  );
}

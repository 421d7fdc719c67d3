/** What the diagnostics panel and the extension tell each other. All figures are the engine's or the extension's own measurements. */
import type { MemoryTrace } from "../engine/protocol.ts";
import type { TrainingHistory } from "./training-history.ts";

/** What the engine did for one request. */
export interface Trace {
  readonly id: number;
  /** The request's name: complete, ask, index, ... */
  readonly kind: string;
  /** What it was about: a path or a question. */
  readonly subject: string;
  /** The path of the folder on disk, where places below it may be opened. */
  readonly folder: string | null;
  /** Wall clock, ms since the epoch. */
  readonly startedAt: number;
  /** From the request to its first piece of text, in ms; null where there was none. */
  firstTextMs: number | null;
  /** From the request to its end, in ms; null while it runs. */
  totalMs: number | null;
  status: "running" | "done" | "cancelled" | "failed";
  /** The engine's own account of its time by stage, in ms, in order; of what was cancelled, until then and until it had stopped. */
  stages: readonly { readonly name: string; readonly ms: number }[];
  /** Tokens generated. */
  nTokens: number | null;
  /** What the context was spent on, in tokens. */
  budget: readonly BudgetPart[];
  /** The places an answer cites, best first. */
  places: readonly TracedPlace[];
  /** What a completion attended to in the repository's memory. */
  memory: MemoryTrace | null;
}

export interface BudgetPart {
  readonly source: string;
  readonly nTokens: number;
  /** An estimate from the number of characters. */
  readonly isAbout: boolean;
}

export interface TracedPlace {
  readonly path: string;
  readonly startLine: number;
  readonly endLine: number;
  readonly score: number;
}

/** The engine and the stores as they are now. */
export interface EngineFacts {
  readonly state: string;
  readonly pid: number | null;
  /** From spawning the process to its first answer. */
  readonly startMs: number | null;
  readonly rssBytes: number | null;
  readonly models: readonly string[];
  /** Bytes on disk in the extension's storage folder; null while they are being counted. */
  readonly storeBytes: number | null;
  readonly folders: readonly {
    readonly name: string;
    readonly freshness: string;
    readonly nFiles: number | null;
    /** About: from the number of bytes. */
    readonly nTokensAbout: number | null;
    readonly filesEncoded: number | null;
    readonly filesTotal: number | null;
    readonly memoryTokens: number | null;
    /** About how long encoding goes on; null while that is not known. */
    readonly remainingMs: number | null;
    readonly isPaused: boolean;
  }[];
  /** Suggestions by where they came from. */
  readonly sources: Readonly<Record<"cache" | "pending" | "engine", number>>;
  readonly shownAbout: number;
  readonly accepted: number;
}

export type FromDiagnostics =
  | { readonly type: "ready" }
  /** Holds the encoding of the folders, or lets it go on. */
  | { readonly type: "pause"; readonly isPaused: boolean }
  | {
      readonly type: "open";
      readonly folder: string;
      readonly file: string;
      readonly startLine: number;
      readonly endLine: number;
    };

export type ToDiagnostics =
  | {
      readonly type: "snapshot";
      readonly traces: readonly Trace[];
      readonly facts: EngineFacts;
      readonly strings: Record<string, string>;
      /** Null where the package has none. */
      readonly training: TrainingHistory | null;
    }
  | { readonly type: "traces"; readonly traces: readonly Trace[] }
  | { readonly type: "facts"; readonly facts: EngineFacts };

/** Whether a message from the panel's page is one of ours, with fields of the right types. */
export function isFromDiagnostics(message: unknown): message is FromDiagnostics {
  if (typeof message !== "object" || message === null) return false;
  const { type, folder, file, startLine, endLine, isPaused } = message as Record<string, unknown>;
  if (type === "ready") return true;
  if (type === "pause") return typeof isPaused === "boolean";
  const isPlace = typeof folder === "string" && typeof file === "string";
  return type === "open" && isPlace && typeof startLine === "number" && typeof endLine === "number";
}

/** What the terminal and the editor can ask of the engine, and what they get: the calls' parameters and results. */
import type { AskResult as Answer, Citation } from "./ask/ask.ts";
import type { CheckReport } from "./ask/check-model.ts";
import type { ChatModel } from "./ask/grounded.ts";
import type { Completion } from "./complete/complete.ts";
import type { CursorContext } from "./complete/context.ts";
import type { EncodingResult } from "./memory/encoding-job.ts";
import type { MemoryStatus } from "./memory/folder-memory.ts";
import type { FolderForecast as Forecast } from "./memory/forecast.ts";
import type { IndexResult } from "./memory/indexer.ts";
import type { PullResult, PushResult } from "./memory/sharing.ts";
import type { MemoryTrace } from "./memory/trace.ts";
import type { ChatMessage } from "./models/chat-template.ts";
import type { ChatTraits, ModelReport } from "./models/inspect.ts";
import type { ToolCall, ToolDefinition } from "./models/tool-calls.ts";
import type { ChatTurn } from "./runtime/chat.ts";
import type { Reading } from "./runtime/reading.ts";
import type { SamplingOptions } from "./runtime/sampler.ts";

export type {
  ChatMessage,
  ChatTraits,
  CheckReport,
  Citation,
  EncodingResult,
  IndexResult,
  MemoryStatus,
  MemoryTrace,
  ModelReport,
  PullResult,
  PushResult,
  ToolCall,
  ToolDefinition,
};

/** What a call reports while it works. */
export type Progress =
  /** `total` is null while it is not known. */
  | { readonly kind: "work"; readonly phase: string; readonly done: number; readonly total: number | null }
  /** The sources of an answer, before its text. */
  | { readonly kind: "citations"; readonly citations: readonly Citation[] }
  /** One more piece of an answer or a generated text. */
  | { readonly kind: "text"; readonly text: string }
  /** A completion so far, which the next one replaces. */
  | { readonly kind: "completion"; readonly text: string };

/** What goes along with every call. */
export interface Work {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  /** Writes with the client's model, where the call names one. */
  readonly write?: ChatModel["chat"];
}

export interface AskParams {
  readonly folder: string;
  readonly question: string;
  /** A chat model that writes the answer; without one the answer is quoted from the folder. */
  readonly model?: string;
  readonly maxCitations?: number;
  /** The client writes the answer with a model of its own, named here; `model` is not looked at then. */
  readonly clientModel?: { readonly name: string; readonly contextTokens: number };
  /** Only what lies here is looked at: files below the folder, and folders with "/" at their end. Empty: everything. */
  readonly paths?: readonly string[];
}

export interface AskResult extends Omit<Answer, "timingsMs"> {
  /** From the call to each stage's end, in ms. */
  readonly timingsMs: { readonly index: number; readonly citations: number; readonly total: number };
}

export interface FolderForecast extends Forecast {
  /** Whether there is an index already: then only what has changed is taken up. */
  readonly isIndexed: boolean;
}

export interface SymbolsParams {
  readonly folder: string;
  readonly part: string;
  readonly limit: number;
}

export interface FoundSymbol {
  readonly name: string;
  readonly kind: string;
  /** Path below the folder, with forward slashes. */
  readonly file: string;
  /** From 1. */
  readonly startLine: number;
}

export interface CompleteParams extends CursorContext {
  /**
   * The folder that `path` lies in: text is copied from its indexed files, and the shipped model looks at its memory as far
   * as it is encoded.
   */
  readonly folder?: string;
  /** A GGUF file or safetensors folder; without one the shipped model completes. */
  readonly model?: string;
  readonly maxTokens?: number;
}

export interface CompleteResult extends Completion {
  readonly model: string;
}

export interface GenerateParams extends SamplingOptions {
  readonly model?: string;
  /** Of a chat: a folder that a model which reads from memory looks at. */
  readonly folder?: string;
  /** A text to go on with, or a chat to answer. */
  readonly prompt: string | readonly ChatMessage[];
  /** What the model may call in a chat; `mustCallTool`: it has to. */
  readonly tools?: readonly ToolDefinition[];
  readonly mustCallTool?: boolean;
  /** How the model attends, in place of what its check has found: exact, balanced, fast or split. */
  readonly plan?: string;
  readonly maxTokens?: number;
  readonly stop?: readonly string[];
}

export interface GenerateResult extends ChatTurn {
  readonly model: string;
  /** What of a folder's memory it attended to. */
  readonly memory?: MemoryTrace;
}

export interface InspectResult extends ModelReport {
  /** How it reads repositories; null for models that have no choice. */
  readonly reading: Reading | null;
}

export interface EngineStatus {
  readonly pid: number;
  readonly rssBytes: number;
  readonly defaultModel: string;
  /** The models in memory. */
  readonly loadedModels: readonly string[];
  /** Of those that have a choice, how they read repositories. */
  readonly readings: Readonly<Record<string, Reading>>;
  /** The folders whose indexes are open, those of other users left out. */
  readonly folders: readonly string[];
  /** Their memories, as far as they are in use or held. */
  readonly memories: Readonly<Record<string, MemoryStatus>>;
}

export interface EngineOptions {
  /** Whether indexed folders are encoded into memory while there is nothing else to do. */
  readonly encodesInBackground?: boolean;
  /** After how long without use a model is given back, in ms. */
  readonly idleMs?: number;
}

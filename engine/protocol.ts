/**
 * The one contract between the engine process and whoever uses it: requests, notifications, their types and errors,
 * over JSON-RPC on the process's stdin and stdout, or on a socket that several clients share. Lines, columns and offsets: see each type. Every request may be
 * cancelled; it then fails with the code "cancelled" after at most one session run.
 */
import { NotificationType, ProgressType, RequestType, RequestType0 } from "vscode-jsonrpc/node";
import type {
  AskParams,
  AskResult,
  ChatTraits,
  CheckReport,
  CompleteParams,
  CompleteResult,
  EncodingResult,
  EngineStatus,
  FolderForecast,
  FoundSymbol,
  GenerateParams,
  GenerateResult,
  IndexResult,
  InspectResult,
  Progress,
  SymbolsParams,
} from "./engine.ts";
import type { ErrorCode } from "./errors.ts";
import type { ChatMessage } from "./models/chat-template.ts";

export type * from "./engine.ts";

/** Changes when an older client or engine can no longer talk to a newer one. */
export const PROTOCOL_VERSION = 1;

/** How often the engine says that it lives, in ms. A session run may hold it up for a second or two. */
export const HEARTBEAT_MS = 1000;

/** Silence after which the client takes the engine for lost, in ms. */
export const SILENCE_LIMIT_MS = 20_000;

export interface InitializeParams {
  readonly protocolVersion: number;
  /** An engine of this client's own ends itself when this process is gone. */
  readonly clientPid: number;
}

/** What travels in a JSON-RPC error's `data`: the code of the LongsightError on the other side. */
export interface ErrorData {
  readonly code: ErrorCode;
}

/** A request whose work reports back under a progress token of the client's choice. */
export interface Reporting {
  readonly progressToken?: number;
}

/** A request with the parameters P, whose result is R; `_params` only carries the type. */
export type EngineRequest<P extends object, R> = RequestType<object, R, ErrorData> & { readonly _params?: P };
const request = <P extends object, R>(method: string): EngineRequest<P, R> => new RequestType(method);

export const requests = {
  initialize: request<InitializeParams, EngineStatus>("initialize"),
  status: request<object, EngineStatus>("status"),
  forecast: request<{ folder: string }, FolderForecast>("forecast"),
  index: request<{ folder: string }, IndexResult>("index"),
  /** Encodes a folder into its memory, which the engine also does by itself behind all other work after an index. */
  encode: request<{ folder: string }, EncodingResult | null>("encode"),
  /** Holds that encoding, or lets it go on. */
  pauseEncoding: request<{ folder: string; isPaused: boolean }, EngineStatus>("pauseEncoding"),
  symbols: request<SymbolsParams, FoundSymbol[]>("symbols"),
  ask: request<AskParams, AskResult>("ask"),
  complete: request<CompleteParams, CompleteResult>("complete"),
  generate: request<GenerateParams, GenerateResult>("generate"),
  chatTraits: request<{ path: string }, ChatTraits>("chatTraits"),
  /** Finds out how a model reads repositories best on this machine, and has it do so: minutes. */
  checkModel: request<{ path: string }, CheckReport>("checkModel"),
  inspect: request<{ path: string }, InspectResult>("inspect"),
  /**
   * Sets all stores aside, beside where they lay (`setAsidePrefix`), while nobody else can use them: what runs is cancelled for all
   * clients, and the process ends. Whoever asks for an engine next gets one with empty stores.
   */
  clearStores: new RequestType0<null, ErrorData>("clearStores"),
  /** Finishes what runs, closes the stores and answers; the process then ends, for all its clients. */
  shutdown: new RequestType0<null, ErrorData>("shutdown"),
} as const;

/** What the engine asks of its client: to write an answer with a model that the client has, not the engine. */
export interface WriteParams {
  /** Of the `ask` that the answer belongs to. */
  readonly progressToken: number;
  readonly messages: readonly ChatMessage[];
  readonly maxTokens: number;
}

/** Sent by the engine; the client reports the text piece by piece under `writing` and the same token. */
export const write = new RequestType<WriteParams, null, ErrorData>("write");
export const writing = new ProgressType<string>();

export const notifications = {
  heartbeat: new NotificationType<{ rssBytes: number }>("heartbeat"),
  /** A line for the log, from an engine that is nobody's child. */
  log: new NotificationType<{ line: string }>("log"),
} as const;

/** Counts of long work and pieces of streamed text, both under the request's progress token. */
export const progress = new ProgressType<Progress>();

/** What the names of stores that were set aside begin with; they lie beside the cache folder. */
export const setAsidePrefix = (cacheFolder: string) => `${cacheFolder}-cleared-`;

/**
 * The engine's facade: what the terminal and the editor can ask for. Everything it does is done by the folders below it.
 * Every call may be cancelled and fails with a LongsightError. Each user of a process has an engine of its own; they
 * share the loaded models and the folders that more than one has open, and nothing else.
 */
import { basename } from "node:path";
import { type AskResult as Answer, ask, type Citation, placesFor } from "./ask/ask.ts";
import { chatModelOf } from "./ask/chat-model.ts";
import { type CheckReport, checkModel } from "./ask/check-model.ts";
import { clientChatModel } from "./ask/client-model.ts";
import type { ChatModel } from "./ask/grounded.ts";
import { Recollection } from "./ask/recollection.ts";
import { isInScope, scopedCatalogue } from "./ask/scope.ts";
import { type CompleteOptions, type Completion, completeAt } from "./complete/complete.ts";
import type { CursorContext } from "./complete/context.ts";
import { type ErrorCode, LongsightError } from "./errors.ts";
import type { EncodingResult } from "./memory/encoding-job.ts";
import { FolderMemory, type MemoryStatus, type RefreshOptions } from "./memory/folder-memory.ts";
import { type FolderForecast as Forecast, forecastFolder } from "./memory/forecast.ts";
import type { IndexResult } from "./memory/indexer.ts";
import { openRemote } from "./memory/remote.ts";
import { memoryFingerprint } from "./memory/segment-store.ts";
import type { PullResult, PushResult } from "./memory/sharing.ts";
import type { MemoryTrace } from "./memory/trace.ts";
import type { ChatMessage } from "./models/chat-template.ts";
import { type ChatTraits, chatTraits, inspectModel, type ModelReport } from "./models/inspect.ts";
import type { ModelWork } from "./models/model-work.ts";
import type { ToolCall, ToolDefinition } from "./models/tool-calls.ts";
import { type OpenFolder, OpenFolders } from "./open-folders.ts";
import { type ChatTurn, chat } from "./runtime/chat.ts";
import { generate } from "./runtime/generate.ts";
import { DEFAULT_MODEL, type LoadedModel, withPlan } from "./runtime/loaded-model.ts";
import { ModelPool } from "./runtime/model-pool.ts";
import { Precedence } from "./runtime/precedence.ts";
import { type Reading, readingOf } from "./runtime/reading.ts";
import type { SamplingOptions } from "./runtime/sampler.ts";
import { PRIORITY, type Priority } from "./runtime/scheduler.ts";

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

type CompletionAround = Pick<CompleteOptions, "repository" | "copies" | "names">;

/** What the engines of a process share. */
interface Shared {
  readonly models: ModelPool;
  readonly precedence: Precedence;
  readonly folders: OpenFolders;
  readonly encodesInBackground: boolean;
  readonly users: Set<Engine>;
}

/** What can be wrong with a folder or the store of its index. */
const FOLDER_ERRORS: readonly ErrorCode[] = ["bad-input", "not-found", "no-access", "disk-full"];

/**
 * Where users' models keep what they have encoded: apart, because a token of theirs is a hundred times as large and would
 * push the shipped model's out.
 */
const MODEL_STORE = { folder: "model-memory", quotaBytes: 16 * 2 ** 30 };

const COMPLETION_TOKENS = 64;
const GENERATED_TOKENS = 256;

export class Engine {
  readonly #shared: Shared;
  #closing: Promise<void> | undefined;

  constructor(options: EngineOptions = {}, shared = share(options)) {
    this.#shared = shared;
    shared.users.add(this);
  }

  /** An engine for another user of this process. */
  join(): Engine {
    return new Engine({}, this.#shared);
  }

  status(): EngineStatus {
    const folders = this.#shared.folders.of(this);
    const memories = folders.flatMap(({ path, memoryStatus }) => (memoryStatus ? [[path, memoryStatus]] : []));
    return {
      pid: process.pid,
      rssBytes: process.memoryUsage.rss(),
      defaultModel: DEFAULT_MODEL,
      loadedModels: this.#shared.models.names(),
      readings: this.#shared.models.readings(),
      folders: folders.map(({ path }) => path),
      memories: Object.fromEntries(memories),
    };
  }

  /** What indexing a folder and encoding it into memory will take: estimates, from the sizes of its files. */
  async forecast(folder: string, { signal }: Work = {}): Promise<FolderForecast> {
    const { path, catalogue } = this.#open(folder);
    return { ...(await forecastFolder(path, signal)), isIndexed: catalogue.files().length > 0 };
  }

  /**
   * Holds a folder's encoding behind all other work, or lets it go on; what is encoded can be used all the same. Work that
   * is held keeps no model in RAM.
   */
  pauseEncoding(folder: string, isPaused: boolean): void {
    const open = this.#open(folder);
    open.pauseEncoding(isPaused);
    // The model, and the work on it, may have been given back meanwhile.
    if (!isPaused && open.isIndexed && this.#shared.encodesInBackground) void quietly(open, () => this.#refresh(open));
  }

  /** Brings a folder's index up to date. */
  index(folder: string, work: Work = {}): Promise<IndexResult> {
    return this.#index(this.#open(folder), work);
  }

  /**
   * Encodes what is new in a folder into its memory, that of the shipped model or of another one. Undefined where another
   * call has taken over.
   */
  async encode(folder: string, work: Work = {}, model?: string): Promise<EncodingResult | undefined> {
    const open = this.#open(folder);
    await open.index(work);
    const options: RefreshOptions = {
      signal: work.signal,
      onProgress: ({ filesDone, filesTotal }) =>
        work.onProgress?.({ kind: "work", phase: "encoding", done: filesDone, total: filesTotal }),
    };
    if (model === undefined) return this.#refresh(open, options);
    const memory = await this.#attached(open, model, work);
    return memory.refresh(open.catalogue.files(), options);
  }

  /**
   * Brings what the shipped model or another one has encoded of a folder to a place where others can take it from: a
   * file://, https:// or s3:// URL.
   */
  async pushMemory(folder: string, url: string, work: Work = {}, model?: string): Promise<PushResult> {
    const remote = openRemote(url);
    const open = this.#open(folder);
    const memory = model === undefined ? await this.#memoryFor(folder) : await this.#attached(open, model, work);
    if (!memory || memory.status.filesTotal === 0)
      throw new LongsightError("bad-input", `${folder} has not been encoded; run encode on it first.`);
    return memory.push(remote, sharing("pushing", work));
  }

  /** Takes over what others have encoded of a folder's contents; the folder is indexed first. */
  async pullMemory(folder: string, url: string, work: Work = {}, model?: string): Promise<PullResult> {
    const remote = openRemote(url);
    const open = this.#open(folder);
    await open.index(work);
    const memory = model === undefined ? await this.#memoryOf(open) : await this.#attached(open, model, work);
    await memory.attach(open.catalogue.files());
    return memory.pull(remote, sharing("pulling", work));
  }

  /**
   * Answers a question about a folder, which is indexed first if this engine has not done so yet: later changes are
   * taken up by index().
   */
  async ask(params: AskParams, work: Work = {}): Promise<AskResult> {
    const { folder, question, model, clientModel, maxCitations, paths = [] } = params;
    const startMs = performance.now();
    const open = this.#open(folder);
    if (!open.isIndexed) await this.#index(open, work);
    const indexMs = performance.now() - startMs;
    const isScoped = paths.length > 0;
    const catalogue = isScoped ? scopedCatalogue(open.catalogue, paths) : open.catalogue;
    const answer = (chatModel?: ChatModel) =>
      ask(
        question,
        { catalogue, isScoped, folderName: basename(open.path), chatModel },
        {
          maxCitations,
          signal: work.signal,
          onCitations: (citations) => work.onProgress?.({ kind: "citations", citations }),
          onText: (text) => work.onProgress?.({ kind: "text", text }),
        },
      );
    const client = clientModel && work.write && clientChatModel(clientModel, work.write);
    const result =
      client || model === undefined
        ? await answer(client)
        : await this.#use(
            model,
            PRIORITY.chat,
            async (loaded) => {
              const recalled = await this.#recalledBy(open, model, loaded);
              const isInside = isScoped ? (path: string) => isInScope(path, paths) : undefined;
              const answered = await answer(chatModelOf(loaded, recalled?.memory, isInside));
              if (recalled) this.#encodeBehind(open, recalled, answered.citations);
              return answered;
            },
            work,
          );
    const { citations, total } = result.timingsMs;
    return { ...result, timingsMs: { index: indexMs, citations: indexMs + citations, total: indexMs + total } };
  }

  /** Symbols of an indexed folder whose names hold `part`, the best first. */
  async symbols({ folder, part, limit }: SymbolsParams, work: Work = {}): Promise<FoundSymbol[]> {
    const open = this.#open(folder);
    if (!open.isIndexed) await this.#index(open, work);
    return open.catalogue
      .symbolsContaining(part, limit)
      .map(({ name, kind, file, startLine }) => ({ name, kind, file, startLine }));
  }

  /** Completes code at a cursor, before all other work. */
  complete(params: CompleteParams, work: Work = {}): Promise<CompleteResult> {
    const { model, folder, maxTokens, ...context } = params;
    const { models, precedence } = this.#shared;
    const completed = async () => {
      const around = folder ? await orNone(this.#aroundFor(folder, model)) : undefined;
      const onText = (text: string) => work.onProgress?.({ kind: "completion", text });
      const options = { maxTokens: maxTokens ?? COMPLETION_TOKENS, signal: work.signal, onText, ...around };
      return await this.#use(
        model,
        PRIORITY.completion,
        async ({ name, reader, tokenizer }) => ({
          ...(await completeAt(reader, tokenizer, context, options)),
          model: name,
        }),
        work,
      );
    };
    return models.keep(() => precedence.first(completed));
  }

  /** Continues a text or answers a chat. */
  async generate(
    { model, folder, prompt, plan, maxTokens, ...options }: GenerateParams,
    work: Work = {},
  ): Promise<GenerateResult> {
    if (plan !== undefined && model === undefined) {
      throw new LongsightError(
        "bad-input",
        "The shipped model has no attention plans; name a model, or leave the plan out.",
      );
    }
    const ref = model && withPlan(model, plan);
    return this.#use(
      ref,
      PRIORITY.chat,
      async (loaded) => {
        const { name, reader, tokenizer } = loaded;
        const all = {
          ...options,
          maxTokens: maxTokens ?? GENERATED_TOKENS,
          signal: work.signal,
          onText: (text: string) => work.onProgress?.({ kind: "text", text }),
        };
        if (typeof prompt !== "string") {
          const found = ref && folder ? await this.#recollect(folder, ref, loaded, prompt, work) : undefined;
          const answering = found?.readerFor(prompt, options.tools) ?? reader;
          const turn = await chat(answering, tokenizer, prompt, all);
          return { ...turn, model: name, memory: found?.context.trace() };
        }
        const ids = tokenizer.encode(prompt, { bos: true });
        return { ...(await generate(reader, tokenizer, ids, all)), toolCalls: [], model: name };
      },
      work,
    );
  }

  /**
   * Finds out how a model reads repositories best on this machine, and has it do so from now on. Errors: unsupported for
   * the shipped format; those of loading a model.
   */
  async checkModel(path: string, work: Work = {}): Promise<CheckReport> {
    const report = await checkModel(path, (ref, task) => this.#use(ref, PRIORITY.chat, task, work), {
      signal: work.signal,
      onProgress: (done, total) => work.onProgress?.({ kind: "work", phase: "checking", done, total }),
    });
    // It takes up what was found when it is loaded next.
    await this.#shared.models.unload(path);
    return report;
  }

  /** What a model file holds and needs. */
  async inspect(path: string, { signal, onProgress }: Work = {}): Promise<InspectResult> {
    const work: ModelWork = { signal, onProgress: (progress) => onProgress?.({ kind: "work", ...progress }) };
    const report = await inspectModel(path, work);
    // Only models whose weights are converted have a choice.
    return { ...report, reading: report.conversion && report.supported ? await readingOf(path, work) : null };
  }

  /** What a model can do in a chat, read without measuring anything. Errors: those of opening a model. */
  chatTraits(path: string): ChatTraits {
    return chatTraits(path);
  }

  /** Closes what only this user has open, with the last user everything; what is at work fails or finishes first. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { users, folders, models } = this.#shared;
    users.delete(this);
    models.leave(this);
    await folders.leave(this);
    if (users.size === 0) await models.close();
  }

  async #index(open: OpenFolder, work: Work): Promise<IndexResult> {
    const result = await open.index(work);
    const { encodesInBackground } = this.#shared;
    if (encodesInBackground) void quietly(open, () => this.#refresh(open));
    if (encodesInBackground || open.copies.isInUse) void open.copies.update(open.catalogue.files());
    return result;
  }

  /** Encodes what is new; the model stays meanwhile, also while nothing is read by it. */
  #refresh(open: OpenFolder, options?: RefreshOptions): Promise<EncodingResult | undefined> {
    return this.#shared.models.keep(async () => {
      const memory = await this.#memoryOf(open);
      return await memory.refresh(open.catalogue.files(), options);
    });
  }

  /**
   * What a completion in a folder may look at. Where work goes on in the background, it is got ready behind the first
   * completion, which does without what is not there yet; elsewhere that one waits.
   */
  async #aroundFor(folder: string, model: string | undefined): Promise<CompletionAround> {
    const open = this.#open(folder);
    // The folder's memory belongs to the shipped model.
    const needsMemory = model === undefined && !open.memory;
    const prepare = async () => {
      if (!open.copies.isInUse) await open.copies.update(open.catalogue.files());
      if (needsMemory) await orNone(this.#memoryFor(folder));
    };
    if (!this.#shared.encodesInBackground) await prepare();
    else if ((!open.copies.isInUse || needsMemory) && !open.preparing) {
      const { precedence } = this.#shared;
      open.preparing = quietly(open, () => precedence.giveWay().then(prepare)).finally(() => {
        open.preparing = undefined;
      });
    }
    const { copies, memory } = open;
    return { repository: model === undefined ? memory : undefined, copies: copies.index, names: copies.names };
  }

  /** The memory that a completion in a folder may look at; undefined before the folder's first index. */
  async #memoryFor(folder: string): Promise<FolderMemory | undefined> {
    const open = this.#open(folder);
    if (open.memory || open.catalogue.files().length === 0) return open.memory;
    const memory = await this.#memoryOf(open);
    await memory.attach(open.catalogue.files());
    return memory;
  }

  /** The memory of a folder, opened when it is first asked for: that needs the shipped model. */
  #memoryOf(open: OpenFolder): Promise<FolderMemory> {
    const { models } = this.#shared;
    const turn = <T>(run: () => Promise<T>, signal?: AbortSignal) =>
      this.#use(undefined, PRIORITY.indexing, run, { signal });
    const rest = <T>(wait: () => Promise<T>) => models.rest(wait);
    return models.keep(async () => {
      const { memory, tokenizer } = await this.#use(undefined, PRIORITY.completion, async (model) => model);
      if (!memory) throw new LongsightError("unsupported", "This model has no memory; use the shipped one.");
      // Opened without holding the model, which completes meanwhile.
      const { weights, folder, openEncoder } = memory;
      const encoder = await openEncoder();
      if (open.isClosed) throw new LongsightError("cancelled", "The folder was closed.");
      if (!open.memory) {
        const { config } = encoder;
        const fingerprint = memoryFingerprint({ weights }, folder);
        const router = { config, weights };
        const parts = { encoder, tokenizer, fingerprint, shape: config, router, turn, rest };
        open.memory = new FolderMemory(open.path, parts);
        open.pauseEncoding(open.isEncodingPaused);
      }
      return open.memory;
    });
  }

  /** What a user's model has in memory of a folder, if that is how it reads. */
  async #recalledBy(open: OpenFolder, model: string, loaded: LoadedModel): Promise<FolderMemory | undefined> {
    if (loaded.reading?.way !== "memory") return undefined;
    const memory = this.#memoryOfModel(open, model, loaded);
    await memory.attach(open.catalogue.files());
    return memory;
  }

  /** Encodes what a user's model lacks of a folder behind its other work, what was just cited first. */
  #encodeBehind(open: OpenFolder, folderMemory: FolderMemory, cited: readonly Citation[]): void {
    const missing = new Set(folderMemory.memory.missing.map(({ path }) => path));
    const first = new Set(cited.map(({ file }) => file).filter((file) => missing.has(file)));
    const isUnderWay = folderMemory.status.encoding !== null;
    if (!this.#shared.encodesInBackground || missing.size === 0 || (isUnderWay && first.size === 0)) return;
    const files = open.catalogue.files().toSorted((a, b) => Number(first.has(b.path)) - Number(first.has(a.path)));
    void quietly(open, () => folderMemory.refresh(files));
  }

  /** What a model that reads from memory has before it while it answers a chat about a folder. */
  async #recollect(
    folder: string,
    model: string,
    loaded: LoadedModel,
    messages: readonly ChatMessage[],
    work: Work,
  ): Promise<Recollection | undefined> {
    const open = this.#open(folder);
    if (!open.isIndexed) await this.#index(open, { signal: work.signal });
    const recalled = await this.#recalledBy(open, model, loaded);
    const question = messages.at(-1)?.content ?? "";
    const places = placesFor(question, open.catalogue);
    const { encoder } = loaded;
    if (!encoder || !recalled || places.length === 0) return undefined;
    return Recollection.find({ ...loaded, encoder }, recalled.memory, { question, places }, work.signal);
  }

  /** The memory that a user's model has of a folder, as far as the folder is indexed. */
  #attached(open: OpenFolder, model: string, work: Work): Promise<FolderMemory> {
    const attach = async (loaded: LoadedModel) => {
      const memory = this.#memoryOfModel(open, model, loaded);
      await memory.attach(open.catalogue.files());
      return memory;
    };
    return this.#use(model, PRIORITY.indexing, attach, work);
  }

  #memoryOfModel(open: OpenFolder, model: string, { encoder, tokenizer }: LoadedModel): FolderMemory {
    if (!encoder) throw new LongsightError("unsupported", "This model encodes as the shipped one does; leave it out.");
    if (open.isClosed) throw new LongsightError("cancelled", "The folder was closed.");
    const turn = <T>(run: () => Promise<T>, signal?: AbortSignal) =>
      this.#use(model, PRIORITY.indexing, run, { signal });
    const { fingerprint, shape } = encoder;
    const parts = { encoder, tokenizer, fingerprint, shape, turn };
    return open.memoryOf(model, () => new FolderMemory(open.path, parts, MODEL_STORE));
  }

  #use<T>(
    model: string | undefined,
    priority: Priority,
    task: (model: LoadedModel) => Promise<T>,
    work: Work = {},
  ): Promise<T> {
    return this.#shared.models.use(this, model, priority, task, work);
  }

  #open(folder: string): OpenFolder {
    // A call that goes on after its user has left must not open anything anew.
    if (this.#closing) throw new LongsightError("engine-lost", "The engine is closing; start it anew.");
    return this.#shared.folders.open(folder, this);
  }
}

/**
 * What a completion does without where it cannot be had: a folder that is gone or a store that cannot be written is told
 * when the folder is indexed, and is no reason to complete nothing.
 */
async function orNone<T>(wanted: Promise<T | undefined>): Promise<T | undefined> {
  try {
    return await wanted;
  } catch (error) {
    if (error instanceof LongsightError && FOLDER_ERRORS.includes(error.code)) return undefined;
    throw error;
  }
}

/** Encodes what is new in a folder; what goes wrong is for the log, since nobody waits for it. */
async function quietly(open: OpenFolder, encode: () => Promise<unknown>): Promise<void> {
  try {
    await encode();
  } catch (error) {
    if (!(error instanceof LongsightError && ["cancelled", "engine-lost"].includes(error.code))) {
      console.error(`The memory of ${open.path} is incomplete: ${(error as Error).message}`);
    }
  }
}

/** What the first engine of a process makes for all. */
function share({ encodesInBackground = false, idleMs }: EngineOptions): Shared {
  const precedence = new Precedence();
  const folders = new OpenFolders(precedence);
  // A folder's memory is read by its model: it is opened anew together with it.
  const onUnload = async (model: string | undefined) => {
    for (const open of folders.all()) await open.closeMemory(model);
  };
  const models = new ModelPool({ idleMs, onUnload });
  return { models, precedence, folders, encodesInBackground, users: new Set() };
}

const sharing = (phase: string, { signal, onProgress }: Work) => ({
  signal,
  onProgress: (done: number, total: number) => onProgress?.({ kind: "work", phase, done, total }),
});

/**
 * The engine's facade: what the terminal and the editor can ask for. Everything it does is done by the folders below it.
 * Every call may be cancelled and fails with a LongsightError. Each user of a process has an engine of its own; they
 * share the loaded models and the folders that more than one has open, and nothing else.
 */
import { basename } from "node:path";
import { ask, placesFor } from "./ask/ask.ts";
import { chatModelOf } from "./ask/chat-model.ts";
import { checkModel } from "./ask/check-model.ts";
import { clientChatModel } from "./ask/client-model.ts";
import type { ChatModel } from "./ask/grounded.ts";
import { Recollection } from "./ask/recollection.ts";
import { isInScope, scopedCatalogue } from "./ask/scope.ts";
import { type CompleteOptions, completeAt } from "./complete/complete.ts";
import type {
  AskParams,
  AskResult,
  ChatMessage,
  ChatTraits,
  CheckReport,
  CompleteParams,
  CompleteResult,
  EncodingResult,
  EngineOptions,
  EngineStatus,
  FolderForecast,
  FoundSymbol,
  GenerateParams,
  GenerateResult,
  IndexResult,
  InspectResult,
  PullResult,
  PushResult,
  SymbolsParams,
  Work,
} from "./engine-calls.ts";
import { type ErrorCode, LongsightError } from "./errors.ts";
import { FolderMemories, quietly } from "./folder-memories.ts";
import type { FolderMemory, RefreshOptions } from "./memory/folder-memory.ts";
import { forecastFolder } from "./memory/forecast.ts";
import { openRemote } from "./memory/remote.ts";
import { chatTraits, inspectModel } from "./models/inspect.ts";
import type { ModelWork } from "./models/model-work.ts";
import { type OpenFolder, OpenFolders } from "./open-folders.ts";
import { chat } from "./runtime/chat.ts";
import { generate } from "./runtime/generate.ts";
import { DEFAULT_MODEL, type LoadedModel, withPlan } from "./runtime/loaded-model.ts";
import { ModelPool } from "./runtime/model-pool.ts";
import { Precedence } from "./runtime/precedence.ts";
import { readingOf } from "./runtime/reading.ts";
import { PRIORITY, type Priority } from "./runtime/scheduler.ts";

export type * from "./engine-calls.ts";

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

const COMPLETION_TOKENS = 64;
const GENERATED_TOKENS = 256;

export class Engine {
  readonly #shared: Shared;
  readonly #memories: FolderMemories;
  #closing: Promise<void> | undefined;

  constructor(options: EngineOptions = {}, shared = share(options)) {
    this.#shared = shared;
    this.#memories = new FolderMemories(shared.models, this, shared.encodesInBackground);
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
    if (!isPaused && open.isIndexed) this.#memories.refreshBehind(open);
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
    if (model === undefined) return this.#memories.refresh(open, options);
    const memory = await this.#memories.attached(open, model, work);
    return memory.refresh(open.catalogue.files(), options);
  }

  /**
   * Brings what the shipped model or another one has encoded of a folder to a place where others can take it from: a
   * file://, https:// or s3:// URL.
   */
  async pushMemory(folder: string, url: string, work: Work = {}, model?: string): Promise<PushResult> {
    const remote = openRemote(url);
    const open = this.#open(folder);
    const memory =
      model === undefined ? await this.#memories.known(open) : await this.#memories.attached(open, model, work);
    if (!memory || memory.status.filesTotal === 0)
      throw new LongsightError("bad-input", `${folder} has not been encoded; run encode on it first.`);
    return memory.push(remote, sharing("pushing", work));
  }

  /** Takes over what others have encoded of a folder's contents; the folder is indexed first. */
  async pullMemory(folder: string, url: string, work: Work = {}, model?: string): Promise<PullResult> {
    const remote = openRemote(url);
    const open = this.#open(folder);
    await open.index(work);
    const memory =
      model === undefined ? await this.#memories.shipped(open) : await this.#memories.attached(open, model, work);
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
              const recalled = await this.#memories.recalledBy(open, model, loaded);
              const isInside = isScoped ? (path: string) => isInScope(path, paths) : undefined;
              const answered = await answer(chatModelOf(loaded, recalled?.memory, isInside));
              if (recalled) this.#memories.encodeBehind(open, recalled, answered.citations);
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
    const onText = (text: string) => work.onProgress?.({ kind: "completion", text });
    return models.keep(async () => {
      const around = folder ? await orNone(this.#aroundFor(folder, model)) : undefined;
      const options = { maxTokens: maxTokens ?? COMPLETION_TOKENS, signal: work.signal, onText, ...around };
      const completed = async ({ name, reader, tokenizer }: LoadedModel) => ({
        ...(await completeAt(reader, tokenizer, context, options)),
        model: name,
      });
      return await precedence.first(() => this.#use(model, PRIORITY.completion, completed, work));
    });
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
    this.#memories.refreshBehind(open);
    if (encodesInBackground || open.copies.isInUse) void open.copies.update(open.catalogue.files());
    return result;
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
    const recalled = await this.#memories.recalledBy(open, model, loaded);
    const question = messages.at(-1)?.content ?? "";
    const places = placesFor(question, open.catalogue);
    const { encoder } = loaded;
    if (!encoder || !recalled || places.length === 0) return undefined;
    return Recollection.find({ ...loaded, encoder }, recalled.memory, { question, places }, work.signal);
  }

  /** What the shipped model has in memory of a folder, which may be gone. */
  async #memoryFor(folder: string): Promise<FolderMemory | undefined> {
    return await this.#memories.known(this.#open(folder));
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

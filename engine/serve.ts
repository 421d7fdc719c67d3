/** Answers the requests of one client over its connection, with an engine of the client's own. */
import { renameSync } from "node:fs";
import {
  type CancellationToken,
  CancellationTokenSource,
  type MessageConnection,
  type RequestType,
  ResponseError,
} from "vscode-jsonrpc/node";
import type { Engine, Progress, Work } from "./engine.ts";
import { fileError, LongsightError } from "./errors.ts";
import { cacheDir } from "./paths.ts";
import {
  type EngineRequest,
  type ErrorData,
  type InitializeParams,
  PROTOCOL_VERSION,
  progress,
  type Reporting,
  requests,
  setAsidePrefix,
  write,
  writing,
} from "./protocol.ts";
import type { StoreUse } from "./store-use.ts";

const ERROR_NUMBER = -32000;

export interface ServeOptions {
  /** Called when the client has said who it is. */
  readonly onGreeting?: (params: InitializeParams) => void;
  /** Ends the process, which a client may ask for; called when that is answered. */
  readonly onShutdown: () => void;
  /** Closes everything, also what belongs to other clients. */
  readonly closeAll: () => Promise<void>;
  /** Takes leave of all other clients, whose requests are cancelled. */
  readonly leaveOthers?: () => void;
  readonly stores: StoreUse;
}

/** An answer needs so long to leave before the process ends, in ms. */
const ANSWER_MS = 100;

/** Answers a client until it is gone; then its requests are cancelled, and what only it had open is closed. */
export async function serve(connection: MessageConnection, engine: Engine, options: ServeOptions): Promise<void> {
  const { onGreeting, onShutdown, closeAll, leaveOthers, stores } = options;
  const client = new ServedClient(connection);
  client.handle(requests.initialize, async (greeting) => {
    const { protocolVersion } = greeting;
    if (protocolVersion !== PROTOCOL_VERSION) {
      throw new LongsightError(
        "engine-lost",
        `The engine speaks protocol ${PROTOCOL_VERSION}, the extension ${protocolVersion}; reload the window to load both anew.`,
      );
    }
    onGreeting?.(greeting);
    return engine.status();
  });
  client.handle(requests.status, async () => engine.status());
  client.handle(requests.forecast, ({ folder }, work) => engine.forecast(folder, work));
  client.handle(requests.index, ({ folder }, work) => engine.index(folder, work));
  client.handle(requests.encode, async ({ folder }, work) => (await engine.encode(folder, work)) ?? null);
  client.handle(requests.pauseEncoding, async ({ folder, isPaused }) => {
    engine.pauseEncoding(folder, isPaused);
    return engine.status();
  });
  client.handle(requests.symbols, (params, work) => engine.symbols(params, work));
  client.handle(requests.ask, (params, work) => engine.ask(params, work));
  client.handle(requests.complete, (params, work) => engine.complete(params, work));
  client.handle(requests.generate, (params, work) => engine.generate(params, work));
  client.handle(requests.chatTraits, async ({ path }) => engine.chatTraits(path));
  client.handle(requests.checkModel, ({ path }, work) => engine.checkModel(path, work));
  client.handle(requests.inspect, ({ path }, work) => engine.inspect(path, work));
  connection.onRequest(requests.shutdown, async () => {
    await closeAll();
    setImmediate(onShutdown);
    return null;
  });
  connection.onRequest(requests.clearStores, async () => {
    try {
      stores.announce();
      leaveOthers?.();
      client.cancel();
      await closeAll();
      await stores.alone();
      setAside(cacheDir());
      return null;
    } catch (error) {
      throw asResponseError(error);
    } finally {
      setTimeout(onShutdown, ANSWER_MS);
    }
  });
  const gone = new Promise<void>((resolve) => connection.onClose(resolve));
  connection.listen();
  await gone;
  client.leave();
  await engine.close();
}

class ServedClient {
  readonly #connection: MessageConnection;
  readonly #underWay = new Set<AbortController>();
  #isGone = false;

  constructor(connection: MessageConnection) {
    this.#connection = connection;
  }

  /** Registers a handler; its LongsightErrors, cancellation and progress are carried across the border. */
  handle<P extends object, R>(type: EngineRequest<P, R>, handler: (params: P, work: Work) => Promise<R>): void {
    this.#connection.onRequest(
      type as RequestType<object, unknown, ErrorData>,
      async (sent: object, token: CancellationToken) => {
        const params = sent as P & Reporting;
        const abort = new AbortController();
        this.#underWay.add(abort);
        token.onCancellationRequested(() => abort.abort());
        if (token.isCancellationRequested) abort.abort();
        const onProgress = (value: Progress) => {
          if (params.progressToken === undefined || this.#isGone) return;
          // That the client is just leaving is noticed when its connection closes.
          this.#connection.sendProgress(progress, params.progressToken, value).catch(() => {});
        };
        const write: Work["write"] = (request) => this.#askToWrite(params.progressToken ?? 0, request);
        try {
          return await handler(params, { signal: abort.signal, onProgress, write });
        } catch (error) {
          throw asResponseError(error);
        } finally {
          this.#underWay.delete(abort);
        }
      },
    );
  }

  /** Cancels what the client has asked for. */
  cancel(): void {
    for (const abort of this.#underWay) abort.abort();
  }

  /** The client is gone. */
  leave(): void {
    this.#isGone = true;
    this.cancel();
    // Fails what is asked of the client.
    this.#connection.dispose();
  }

  /** Has the client write an answer with a model of its own. */
  async #askToWrite(
    progressToken: number,
    { messages, maxTokens, signal, onText }: Parameters<NonNullable<Work["write"]>>[0],
  ): Promise<void> {
    const source = new CancellationTokenSource();
    const abort = () => source.cancel();
    signal?.addEventListener("abort", abort, { once: true });
    const listener = this.#connection.onProgress(writing, progressToken, onText);
    try {
      await this.#connection.sendRequest(write, { progressToken, messages, maxTokens }, source.token);
    } catch (error) {
      const code = error instanceof ResponseError ? (error.data as ErrorData | undefined)?.code : undefined;
      throw code ? new LongsightError(code, (error as Error).message) : error;
    } finally {
      listener.dispose();
      signal?.removeEventListener("abort", abort);
      source.dispose();
    }
  }
}

/** Errors: LongsightError where the folder cannot be renamed; one that is not there is as good as cleared. */
function setAside(cacheFolder: string): void {
  try {
    renameSync(cacheFolder, setAsidePrefix(cacheFolder) + process.pid);
  } catch (error) {
    if ((error as { code?: unknown }).code !== "ENOENT") throw fileError(error, cacheFolder);
  }
}

function asResponseError(error: unknown): unknown {
  if (!(error instanceof LongsightError)) return error;
  return new ResponseError<ErrorData>(ERROR_NUMBER, error.message, { code: error.code });
}

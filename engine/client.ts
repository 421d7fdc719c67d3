/**
 * The other end of protocol.ts: speaks to an engine process over a link. It notices when the engine ends or falls silent;
 * every request then fails with the code "engine-lost" and `onLost` is called once, so that the owner can start another.
 */
import {
  type CancellationToken,
  CancellationTokenSource,
  createMessageConnection,
  ErrorCodes,
  type MessageConnection,
  ResponseError,
} from "vscode-jsonrpc/node";
import { LongsightError } from "./errors.ts";
import { childLink, type EngineCommand, type EngineLink } from "./link.ts";
import {
  type EngineRequest,
  type ErrorData,
  notifications,
  PROTOCOL_VERSION,
  progress,
  requests,
  SILENCE_LIMIT_MS,
  type Work,
  type WriteParams,
  write,
  writing,
} from "./protocol.ts";

export interface ClientEvents {
  /** Each line the engine has for its log. */
  readonly onLog?: (line: string) => void;
  /** Called once when the engine ends without having been closed. */
  readonly onLost?: (reason: LongsightError) => void;
}

export interface ClientOptions extends EngineCommand, ClientEvents {}

/**
 * Cancelling takes effect between two runs of a model, of which a large one's take a while; then the engines of other windows
 * have LEAVING_MS of store-use.ts.
 */
const CLEAR_MS = 25_000;

export class EngineClient {
  readonly #link: EngineLink;
  readonly #connection: MessageConnection;
  readonly #onLost: ((reason: LongsightError) => void) | undefined;
  #pid: number | undefined;
  /** Why the engine is gone; undefined while it lives. */
  #lost: LongsightError | undefined;
  /** Called when the engine is gone. */
  #gone: () => void = () => {};
  #silence: NodeJS.Timeout | undefined;
  #closing = false;
  #tokens = 0;
  /** The writers of the requests under way that have one, by progress token. */
  readonly #writers = new Map<number, NonNullable<Work["write"]>>();

  private constructor(link: EngineLink, { onLog, onLost }: ClientEvents) {
    this.#onLost = onLost;
    this.#link = link;
    this.#connection = createMessageConnection(link.reader, link.writer);
    this.#connection.onError(() => {});
    link.onEnd((reason) => this.#lose(reason));
    this.#connection.onNotification(notifications.heartbeat, () => this.#hear());
    this.#connection.onNotification(notifications.log, ({ line }) => onLog?.(line));
    this.#connection.onRequest(write, (params, token) => this.#write(params, token));
    this.#connection.listen();
    this.#hear();
  }

  /** Starts an engine process of this client's own and waits until it answers. Errors: engine-lost. */
  static start(options: ClientOptions): Promise<EngineClient> {
    return EngineClient.over(childLink(options, options.onLog), options);
  }

  /** Greets the engine at the other end of a link. Errors: engine-lost. */
  static async over(link: EngineLink, events: ClientEvents): Promise<EngineClient> {
    const client = new EngineClient(link, events);
    const greeting = { protocolVersion: PROTOCOL_VERSION, clientPid: process.pid };
    try {
      client.#pid = (await client.request(requests.initialize, greeting)).pid;
      return client;
    } catch (error) {
      client.#closing = true;
      link.kill();
      throw error;
    }
  }

  /** The engine's process. */
  get pid(): number | undefined {
    return this.#pid;
  }

  /** Whether other windows may use this engine too. */
  get isShared(): boolean {
    return this.#link.isShared;
  }

  /** Sends a request. Errors: the engine's LongsightError; cancelled, if `signal` aborts; engine-lost. */
  async request<P extends object, R>(type: EngineRequest<P, R>, params: P, options: Work = {}): Promise<R> {
    if (this.#lost) throw this.#lost;
    const source = new CancellationTokenSource();
    const abort = () => source.cancel();
    if (options.signal?.aborted) abort();
    options.signal?.addEventListener("abort", abort, { once: true });
    const progressToken = ++this.#tokens;
    if (options.write) this.#writers.set(progressToken, options.write);
    const listener = options.onProgress && this.#connection.onProgress(progress, progressToken, options.onProgress);
    try {
      return await this.#connection.sendRequest(type, { ...params, progressToken }, source.token);
    } catch (error) {
      throw this.#lost ?? asLongsightError(error);
    } finally {
      options.signal?.removeEventListener("abort", abort);
      listener?.dispose();
      this.#writers.delete(progressToken);
      source.dispose();
    }
  }

  /** Takes leave; an engine of this client's own ends. */
  async close(): Promise<void> {
    if (!this.#link.isShared) return this.end();
    this.#closing = true;
    this.#link.leave();
  }

  /** Lets the engine finish and end, whoever uses it; ends it by force if it does not within `graceMs`. */
  async end(graceMs = 3000): Promise<void> {
    await this.#last(graceMs, () => this.#connection.sendRequest(requests.shutdown).catch(() => {}));
  }

  /**
   * Has the engine set all stores aside and end, whoever uses it. Errors: no-access and others where they cannot be
   * renamed; the engine ends all the same.
   */
  async clearStores(): Promise<void> {
    await this.#last(CLEAR_MS, () => this.#connection.sendRequest(requests.clearStores));
  }

  /** Sends the last request, after which the engine ends. */
  async #last(graceMs: number, send: () => Promise<unknown>): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    clearTimeout(this.#silence);
    if (this.#lost) return;
    const gone = new Promise<void>((resolve) => {
      this.#gone = resolve;
    });
    const force = setTimeout(() => this.#link.kill(this.#pid), graceMs);
    try {
      await send();
    } catch (error) {
      throw this.#lost ?? asLongsightError(error);
    } finally {
      await gone;
      clearTimeout(force);
    }
  }

  /** Writes what the engine asks for, with the writer that came along with its request. */
  async #write({ progressToken, messages, maxTokens }: WriteParams, token: CancellationToken): Promise<null> {
    const writer = this.#writers.get(progressToken);
    if (!writer) throw new ResponseError<ErrorData>(ErrorCodes.InvalidParams, "Nobody writes.", { code: "bad-input" });
    const abort = new AbortController();
    token.onCancellationRequested(() => abort.abort());
    // That the engine is just ending is noticed when its connection closes.
    const onText = (piece: string) => void this.#connection.sendProgress(writing, progressToken, piece).catch(() => {});
    try {
      await writer({ messages, maxTokens, signal: abort.signal, onText });
      return null;
    } catch (error) {
      if (!(error instanceof LongsightError)) throw error;
      throw new ResponseError<ErrorData>(ErrorCodes.InternalError, error.message, { code: error.code });
    }
  }

  #hear(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      this.#link.kill(this.#pid);
      this.#lose(`it was silent for ${SILENCE_LIMIT_MS / 1000} seconds`);
    }, SILENCE_LIMIT_MS);
    this.#silence.unref();
  }

  #lose(reason: string): void {
    if (this.#lost) return;
    clearTimeout(this.#silence);
    this.#lost = new LongsightError(
      "engine-lost",
      `The Longsight engine stopped: ${reason}. Ask again to start it anew.`,
    );
    // Disposing rejects every pending request, which then fails with the reason above.
    this.#connection.dispose();
    this.#gone();
    if (!this.#closing) this.#onLost?.(this.#lost);
  }
}

function asLongsightError(error: unknown): unknown {
  if (!(error instanceof ResponseError)) return error;
  const code = (error.data as ErrorData | undefined)?.code;
  return code ? new LongsightError(code, error.message) : error;
}

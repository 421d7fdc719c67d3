/**
 * The other end of protocol.ts: starts an engine process and speaks to it. It notices when the engine ends or falls
 * silent; every request then fails with the code "engine-lost" and `onLost` is called once, so that the owner can
 * start another.
 */
import { type ChildProcess, spawn } from "node:child_process";
import {
  type CancellationToken,
  CancellationTokenSource,
  createMessageConnection,
  ErrorCodes,
  type MessageConnection,
  ResponseError,
  StreamMessageReader,
  StreamMessageWriter,
} from "vscode-jsonrpc/node";
import { LongsightError } from "./errors.ts";
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

export interface ClientOptions {
  /** The Node executable and the arguments that start engine/server.ts. */
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Each line the engine writes to stderr. */
  readonly onLog?: (line: string) => void;
  /** Called once when the engine ends without having been closed. */
  readonly onLost?: (reason: LongsightError) => void;
}

export class EngineClient {
  readonly #process: ChildProcess;
  readonly #connection: MessageConnection;
  readonly #onLost: ((reason: LongsightError) => void) | undefined;
  /** Why the engine is gone; undefined while it lives. */
  #lost: LongsightError | undefined;
  #silence: NodeJS.Timeout | undefined;
  #closing = false;
  #tokens = 0;
  /** The writers of the requests under way that have one, by progress token. */
  readonly #writers = new Map<number, NonNullable<Work["write"]>>();

  private constructor(options: ClientOptions) {
    this.#onLost = options.onLost;
    this.#process = spawn(options.command, options.args, {
      env: options.env ?? process.env,
      stdio: ["pipe", "pipe", "pipe"],
    });
    const { stdin, stdout, stderr } = this.#process;
    if (!stdin || !stdout || !stderr) throw new LongsightError("engine-lost", "The engine process has no pipes.");
    this.#connection = createMessageConnection(new StreamMessageReader(stdout), new StreamMessageWriter(stdin));
    stderr.setEncoding("utf8").on("data", (text: string) => {
      for (const line of text.split("\n")) if (line) options.onLog?.(line);
    });
    // A pipe that breaks is reported by the process's end; its own error needs no second report.
    stdin.on("error", () => {});
    this.#connection.onError(() => {});
    this.#process.on("error", (error) => this.#lose(`it could not be started (${error.message})`));
    this.#process.on("exit", (status, signal) =>
      this.#lose(signal ? `it was ended by ${signal}` : `it ended with status ${status}`),
    );
    this.#connection.onNotification(notifications.heartbeat, () => this.#hear());
    this.#connection.onRequest(write, (params, token) => this.#write(params, token));
    this.#connection.listen();
    this.#hear();
  }

  /** Starts an engine process and waits until it answers. Errors: engine-lost. */
  static async start(options: ClientOptions): Promise<EngineClient> {
    const client = new EngineClient(options);
    await client.request(requests.initialize, { protocolVersion: PROTOCOL_VERSION, clientPid: process.pid });
    return client;
  }

  get pid(): number | undefined {
    return this.#process.pid;
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

  /** Lets the engine finish and end; ends it by force if it does not within `graceMs`. */
  async close(graceMs = 3000): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    clearTimeout(this.#silence);
    if (!this.#lost) {
      const exited = new Promise((resolve) => this.#process.once("exit", resolve));
      const force = setTimeout(() => this.#process.kill("SIGKILL"), graceMs);
      await this.#connection.sendRequest(requests.shutdown).catch(() => {});
      await exited;
      clearTimeout(force);
    }
  }

  /** Writes what the engine asks for, with the writer that came along with its request. */
  async #write({ progressToken, messages, maxTokens }: WriteParams, token: CancellationToken): Promise<null> {
    const writer = this.#writers.get(progressToken);
    if (!writer) throw new ResponseError<ErrorData>(ErrorCodes.InvalidParams, "Nobody writes.", { code: "bad-input" });
    const abort = new AbortController();
    token.onCancellationRequested(() => abort.abort());
    const onText = (piece: string) => void this.#connection.sendProgress(writing, progressToken, piece);
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
      this.#process.kill("SIGKILL");
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
    if (!this.#closing) this.#onLost?.(this.#lost);
  }
}

function asLongsightError(error: unknown): unknown {
  if (!(error instanceof ResponseError)) return error;
  const code = (error.data as ErrorData | undefined)?.code;
  return code ? new LongsightError(code, error.message) : error;
}

/**
 * The engine process: answers protocol.ts on stdin and stdout. It ends when asked to, when its input ends, or when the
 * client's process is gone, so that no orphan outlives an editor.
 */
import {
  type CancellationToken,
  CancellationTokenSource,
  createMessageConnection,
  type RequestType,
  ResponseError,
  StreamMessageReader,
  StreamMessageWriter,
} from "vscode-jsonrpc/node";
import { Engine, type Progress, type Work } from "./engine.ts";
import { LongsightError } from "./errors.ts";
import {
  type EngineRequest,
  type ErrorData,
  HEARTBEAT_MS,
  notifications,
  PROTOCOL_VERSION,
  progress,
  type Reporting,
  requests,
  write,
  writing,
} from "./protocol.ts";

const ERROR_NUMBER = -32000;

// Stdout carries messages only; whatever a library prints must not break them.
console.log = console.info = console.debug = console.error;

const engine = new Engine({ encodesInBackground: true });
const connection = createMessageConnection(
  new StreamMessageReader(process.stdin),
  new StreamMessageWriter(process.stdout),
);

/** Registers a handler; its LongsightErrors, cancellation and progress are carried across the border. */
function handle<P extends object, R>(type: EngineRequest<P, R>, handler: (params: P, work: Work) => Promise<R>): void {
  connection.onRequest(
    type as RequestType<object, unknown, ErrorData>,
    async (sent: object, token: CancellationToken) => {
      const params = sent as P & Reporting;
      const abort = new AbortController();
      token.onCancellationRequested(() => abort.abort());
      if (token.isCancellationRequested) abort.abort();
      const onProgress = (value: Progress) => {
        if (params.progressToken !== undefined) void connection.sendProgress(progress, params.progressToken, value);
      };
      const write: Work["write"] = (request) => askClientToWrite(params.progressToken ?? 0, request);
      return await handler(params, { signal: abort.signal, onProgress, write }).catch((error) => {
        throw asResponseError(error);
      });
    },
  );
}

/** Has the client write an answer with a model of its own. */
async function askClientToWrite(
  progressToken: number,
  { messages, maxTokens, signal, onText }: Parameters<NonNullable<Work["write"]>>[0],
): Promise<void> {
  const source = new CancellationTokenSource();
  const abort = () => source.cancel();
  signal?.addEventListener("abort", abort, { once: true });
  const listener = connection.onProgress(writing, progressToken, onText);
  try {
    await connection.sendRequest(write, { progressToken, messages, maxTokens }, source.token);
  } catch (error) {
    const code = error instanceof ResponseError ? (error.data as ErrorData | undefined)?.code : undefined;
    throw code ? new LongsightError(code, (error as Error).message) : error;
  } finally {
    listener.dispose();
    signal?.removeEventListener("abort", abort);
    source.dispose();
  }
}

function asResponseError(error: unknown): unknown {
  if (!(error instanceof LongsightError)) return error;
  return new ResponseError<ErrorData>(ERROR_NUMBER, error.message, { code: error.code });
}

async function end(status: number): Promise<never> {
  await engine.close();
  process.exit(status);
}

/** Ends this process when the client's is gone, also where its pipes were inherited by somebody else. */
function watchClient(pid: number): void {
  setInterval(() => {
    try {
      process.kill(pid, 0);
    } catch {
      void end(0);
    }
  }, 2 * HEARTBEAT_MS).unref();
}

handle(requests.initialize, async ({ protocolVersion, clientPid }) => {
  if (protocolVersion !== PROTOCOL_VERSION) {
    throw new LongsightError(
      "engine-lost",
      `The engine speaks protocol ${PROTOCOL_VERSION}, the extension ${protocolVersion}; reload the window to load both anew.`,
    );
  }
  watchClient(clientPid);
  return engine.status();
});
handle(requests.status, async () => engine.status());
handle(requests.forecast, ({ folder }, work) => engine.forecast(folder, work));
handle(requests.index, ({ folder }, work) => engine.index(folder, work));
handle(requests.encode, async ({ folder }, work) => (await engine.encode(folder, work)) ?? null);
handle(requests.pauseEncoding, async ({ folder, isPaused }) => {
  engine.pauseEncoding(folder, isPaused);
  return engine.status();
});
handle(requests.symbols, (params, work) => engine.symbols(params, work));
handle(requests.ask, (params, work) => engine.ask(params, work));
handle(requests.complete, (params, work) => engine.complete(params, work));
handle(requests.generate, (params, work) => engine.generate(params, work));
handle(requests.chatTraits, async ({ path }) => engine.chatTraits(path));
handle(requests.inspect, ({ path }, work) => engine.inspect(path, work));
connection.onRequest(requests.shutdown, async () => {
  await engine.close();
  setImmediate(() => process.exit(0));
  return null;
});

connection.onClose(() => void end(0));
process.stdin.on("end", () => void end(0));
connection.listen();
setInterval(() => {
  void connection.sendNotification(notifications.heartbeat, { rssBytes: process.memoryUsage.rss() });
}, HEARTBEAT_MS);

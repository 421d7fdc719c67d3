/**
 * The engine process. Without arguments it answers one client on stdin and stdout and ends with that client; as
 * `server.js --shared ADDRESS LOCK [LINGER_MS]` it answers all who connect to the address (shared-server.ts).
 */
import { createMessageConnection, StreamMessageReader, StreamMessageWriter } from "vscode-jsonrpc/node";
import { Engine } from "./engine.ts";
import { cacheDir } from "./paths.ts";
import { HEARTBEAT_MS, notifications } from "./protocol.ts";
import { serve } from "./serve.ts";
import { serveShared } from "./shared-server.ts";
import { StoreUse } from "./store-use.ts";

// Stdout carries messages only; whatever a library prints must not break them.
console.log = console.info = console.debug = console.error;

const [mode, address, lock, lingerMs] = process.argv.slice(2);
if (mode === "--shared")
  await serveShared({ address, lock, lingerMs: lingerMs === undefined ? undefined : Number(lingerMs) });
else await serveParent();

/** Ends when asked to, when the input ends, or when the client's process is gone: no orphan outlives an editor. */
async function serveParent(): Promise<void> {
  const engine = new Engine({ encodesInBackground: true });
  const connection = createMessageConnection(
    new StreamMessageReader(process.stdin),
    new StreamMessageWriter(process.stdout),
  );
  const exit = () => process.exit(0);
  const end = () => void engine.close().then(exit);
  process.stdin.on("end", end);
  setInterval(() => {
    void connection.sendNotification(notifications.heartbeat, { rssBytes: process.memoryUsage.rss() });
  }, HEARTBEAT_MS);
  // Without its input it takes leave, as when the client has gone.
  const stores = await StoreUse.begin(cacheDir(), { onClearing: () => process.stdin.destroy() });
  void serve(connection, engine, {
    onGreeting: ({ clientPid }) => whenGone(clientPid, end),
    onShutdown: exit,
    closeAll: () => engine.close(),
    stores,
  }).then(exit);
}

/** Calls `end` when a process is gone, also where its pipes were inherited by somebody else. */
function whenGone(pid: number, end: () => void): void {
  setInterval(() => {
    try {
      process.kill(pid, 0);
    } catch {
      end();
    }
  }, 2 * HEARTBEAT_MS).unref();
}

/**
 * The engine process that all windows of a user share: answers every client that connects, and ends a while after the
 * last one is gone. Whoever holds the lock is the one engine; the system takes it from a process that dies in any way.
 */
import { rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { DatabaseSync } from "node:sqlite";
import { format } from "node:util";
import {
  createMessageConnection,
  type MessageConnection,
  SocketMessageReader,
  SocketMessageWriter,
} from "vscode-jsonrpc/node";
import { Engine } from "./engine.ts";
import { cacheDir } from "./paths.ts";
import { HEARTBEAT_MS, notifications } from "./protocol.ts";
import { serve } from "./serve.ts";
import { StoreUse } from "./store-use.ts";

export interface SharedServerOptions {
  readonly address: string;
  readonly lock: string;
  /** How long the engine stays without a client, in ms. */
  readonly lingerMs?: number;
}

/** A window that is loaded anew finds its engine warm; a machine that is left is soon free of it. */
const LINGER_MS = 15_000;

/** How long an engine waits for the end of the one before it. */
const LOCK_WAIT_MS = 5000;

const SQLITE_BUSY = 5;

/** Open as long as the process lives: closed, also by the garbage collector, it would be free. */
let held: DatabaseSync | undefined;

/** Serves all clients; the process ends by itself. Where another engine is there, it ends at once. */
export async function serveShared({ address, lock, lingerMs = LINGER_MS }: SharedServerOptions): Promise<void> {
  held = take(lock);
  if (!held) process.exit(0);
  const stores = await StoreUse.begin(cacheDir(), {
    onClearing: () => {
      leave();
      void closeAll().then(exit);
    },
  });
  // What lies there is of a dead engine: the living one holds the lock.
  if (process.platform !== "win32") rmSync(address, { force: true });

  const engine = new Engine({ encodesInBackground: true });
  const engines = new Set([engine]);
  const clients = new Map<MessageConnection, Socket>();
  const toAll = (send: (client: MessageConnection) => Promise<void>) => {
    for (const client of clients.keys()) void send(client).catch(() => {});
  };
  console.log =
    console.info =
    console.debug =
    console.warn =
    console.error =
      (...parts: unknown[]) => {
        const line = format(...parts);
        toAll((client) => client.sendNotification(notifications.log, { line }));
      };
  setInterval(() => {
    const rssBytes = process.memoryUsage.rss();
    toAll((client) => client.sendNotification(notifications.heartbeat, { rssBytes }));
  }, HEARTBEAT_MS);

  const exit = () => process.exit(0);
  const closeAll = async () => {
    server.close();
    for (const one of engines) await one.close();
  };
  /** Takes leave of all clients but one, whose requests are cancelled. */
  const leave = (but?: Socket) => {
    server.close();
    for (const socket of clients.values()) if (socket !== but) socket.destroy();
  };
  let lonely: NodeJS.Timeout;
  const waitForClients = () => {
    lonely = setTimeout(() => void closeAll().then(exit), lingerMs);
  };
  const answer = async (socket: Socket) => {
    // It came while the engine was already ending; the client starts the next one.
    if (!server.listening) {
      socket.destroy();
      return;
    }
    clearTimeout(lonely);
    // A client that is killed resets its connection, which closes it.
    socket.on("error", () => {});
    const client = createMessageConnection(new SocketMessageReader(socket), new SocketMessageWriter(socket));
    client.onError(() => {});
    clients.set(client, socket);
    client.onClose(() => clients.delete(client));
    const own = engine.join();
    engines.add(own);
    const leaveOthers = () => leave(socket);
    await serve(client, own, { onShutdown: exit, closeAll, leaveOthers, stores }).catch(console.error);
    engines.delete(own);
    if (clients.size === 0) waitForClients();
  };
  const server = createServer((socket) => void answer(socket)).listen(address, waitForClients);
}

/** Locks a file for as long as this process lives; undefined where another one has it locked. */
function take(path: string): DatabaseSync | undefined {
  const database = new DatabaseSync(path);
  try {
    database.exec(`PRAGMA busy_timeout = ${LOCK_WAIT_MS}; BEGIN EXCLUSIVE`);
    return database;
  } catch (error) {
    if ((error as { errcode?: unknown }).errcode === SQLITE_BUSY) return undefined;
    throw error;
  }
}

/** How a client is connected with an engine: through the pipes of a child process, or through a socket. */
import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";
import {
  type MessageReader,
  type MessageWriter,
  SocketMessageReader,
  SocketMessageWriter,
  StreamMessageReader,
  StreamMessageWriter,
} from "vscode-jsonrpc/node";
import { LongsightError } from "./errors.ts";

/**
 * Has glibc give freed memory back to the system: by default it keeps blocks of up to 32 MiB for later, and a pool for each
 * thread, in all two thirds of what a model took. Elsewhere it has no meaning; what the user has set goes before.
 */
const ENGINE_ENV = { MALLOC_ARENA_MAX: "2", MALLOC_TRIM_THRESHOLD_: String(128 * 1024) };

/** The environment that an engine process starts in. */
export const engineEnv = (env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv => ({ ...ENGINE_ENV, ...env });

/** What it takes to start an engine process. */
export interface EngineCommand {
  /** The Node executable and the arguments that start engine/server.ts. */
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

export interface EngineLink {
  readonly reader: MessageReader;
  readonly writer: MessageWriter;
  /** Whether other clients use the engine too, so that it goes on without this one. */
  readonly isShared: boolean;
  /** Calls `listener` once when the engine is gone, with the reason: "it ...". */
  onEnd(listener: (reason: string) => void): void;
  /** Takes leave of a shared engine. */
  leave(): void;
  /** Ends the engine's process by force, where it is known. */
  kill(pid?: number): void;
}

/** An engine of its own: a child process, whose lines on stderr go to `onLog`. */
export function childLink({ command, args, env }: EngineCommand, onLog?: (line: string) => void): EngineLink {
  const child: ChildProcess = spawn(command, args, { env: engineEnv(env), stdio: ["pipe", "pipe", "pipe"] });
  const { stdin, stdout, stderr } = child;
  if (!stdin || !stdout || !stderr) throw new LongsightError("engine-lost", "The engine process has no pipes.");
  stderr.setEncoding("utf8").on("data", (text: string) => {
    for (const line of text.split("\n")) if (line) onLog?.(line);
  });
  // A pipe that breaks is reported by the process's end; its own error needs no second report.
  stdin.on("error", () => {});
  return {
    reader: new StreamMessageReader(stdout),
    writer: new StreamMessageWriter(stdin),
    isShared: false,
    onEnd: (listener) => {
      child.on("error", (error) => listener(`it could not be started (${error.message})`));
      child.on("exit", (status, signal) =>
        listener(signal ? `it was ended by ${signal}` : `it ended with status ${status}`),
      );
    },
    leave: () => {},
    kill: () => void child.kill("SIGKILL"),
  };
}

/** The engine at the other end of a socket. */
export function socketLink(socket: Socket): EngineLink {
  // A socket that breaks closes; its own error needs no second report.
  socket.on("error", () => {});
  return {
    reader: new SocketMessageReader(socket),
    writer: new SocketMessageWriter(socket),
    isShared: true,
    onEnd: (listener) => socket.on("close", () => listener("it ended, or was restarted by another window")),
    leave: () => void socket.destroy(),
    kill: (pid) => {
      socket.destroy();
      try {
        if (pid !== undefined) process.kill(pid, "SIGKILL");
      } catch {
        // It is gone already.
      }
    },
  };
}

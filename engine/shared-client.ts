/**
 * One engine for all windows of a user: whoever comes first starts it, the others connect to it, and it ends by itself
 * a while after the last of them. Where that cannot be had, a window gets an engine of its own.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { type ClientOptions, EngineClient } from "./client.ts";
import { LongsightError } from "./errors.ts";
import { engineEnv, socketLink } from "./link.ts";
import { type MeetingPlace, meetingPlace } from "./meeting-place.ts";

export interface ShareOptions extends ClientOptions {
  /** The engine's script, the last of `args`. */
  readonly script: string;
  /** The store that the engine works on. */
  readonly cacheFolder: string;
  /** Where the folder with the socket lies, by default where the system keeps such. */
  readonly socketParent?: string;
  /** How long the engine stays without a client, in ms. */
  readonly lingerMs?: number;
  /** How long an engine may take until it answers, in ms; afterwards the window gets one of its own. */
  readonly answerMs?: number;
}

/** An engine answers after half a second; a machine under load takes several times that. */
const ANSWER_MS = 10_000;
const RETRY_MS = 15;
const LAST_WORDS_BYTES = 4096;

/** Connects to the user's common engine, started if need be, or else starts one of this window's own. */
export async function shareEngine(options: ShareOptions): Promise<EngineClient> {
  try {
    return await joinEngine(options, meetingPlace(options.script, options.cacheFolder, options.socketParent));
  } catch (error) {
    options.onLog?.(`This window has an engine of its own: ${(error as Error).message}`);
    return EngineClient.start(options);
  }
}

async function joinEngine(options: ShareOptions, place: MeetingPlace): Promise<EngineClient> {
  const endMs = performance.now() + (options.answerMs ?? ANSWER_MS);
  let started: Started | undefined;
  for (;;) {
    const socket = await reach(place.address);
    const client = socket && (await greet(socket, options, place, endMs));
    if (client) {
      // Another window was quicker; what was started here would wait for that one's end.
      if (started && started.child.pid !== client.pid) started.child.kill();
      return client;
    }
    if (started?.failure) throw new LongsightError("engine-lost", started.failure);
    if (performance.now() > endMs) {
      started?.child.kill();
      throw new LongsightError("engine-lost", `the engine at ${place.address} does not answer.`);
    }
    // It waited in vain for the end of the one before it.
    if (started?.hasEnded) started = undefined;
    started ??= startEngine(options, place);
    await delay(RETRY_MS);
  }
}

/** Undefined where nobody listens. */
function reach(address: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(address);
    socket.once("error", () => resolve(undefined));
    socket.once("connect", () => resolve(socket));
  });
}

/** Undefined where the engine does not answer in time, or ends at this very moment. */
async function greet(
  socket: Socket,
  options: ShareOptions,
  place: MeetingPlace,
  endMs: number,
): Promise<EngineClient | undefined> {
  const tooLate = setTimeout(() => socket.destroy(), Math.max(endMs - performance.now(), 0));
  let isGreeted = false;
  const onLost = (reason: LongsightError) => {
    if (!isGreeted) return;
    for (const line of lastWords(place.log)) options.onLog?.(line);
    options.onLost?.(reason);
  };
  try {
    const client = await EngineClient.over(socketLink(socket), { onLog: options.onLog, onLost });
    isGreeted = true;
    return client;
  } catch {
    return undefined;
  } finally {
    clearTimeout(tooLate);
  }
}

interface Started {
  readonly child: ChildProcess;
  hasEnded: boolean;
  /** Why it cannot be the common engine. */
  failure?: string;
}

/** Starts an engine that outlives this process. It ends by itself where another one is there. */
function startEngine({ command, args, env, lingerMs }: ShareOptions, place: MeetingPlace): Started {
  const { folder, address, lock, log } = place;
  const linger = lingerMs === undefined ? [] : [String(lingerMs)];
  const stderr = openSync(log, "w", 0o600);
  const child = spawn(command, [...args, "--shared", address, lock, ...linger], {
    cwd: folder,
    env: engineEnv(env),
    stdio: ["ignore", "ignore", stderr],
    detached: true,
    windowsHide: true,
  });
  closeSync(stderr);
  const started: Started = { child, hasEnded: false };
  child.on("error", (error) => {
    started.failure = `it could not be started (${error.message}).`;
  });
  child.on("exit", (status, signal) => {
    started.hasEnded = true;
    // Why: the window's own engine will say it.
    if (status !== 0) started.failure = `it ended with ${signal ?? `status ${status}`}.`;
  });
  child.unref();
  return started;
}

/** What an engine that crashed has left behind. */
function lastWords(log: string): string[] {
  try {
    return readFileSync(log, "utf8").slice(-LAST_WORDS_BYTES).split("\n").filter(Boolean);
  } catch {
    return [];
  }
}

/** How soon the engine stops what is cancelled. */
import { setTimeout as delay } from "node:timers/promises";
import { requests } from "../../engine/protocol.ts";
import type { EngineHost } from "../../extension/engine-host.ts";
import { atMost, quantile, type Row, told } from "./rows.ts";

const N_CANCELLED = 60;
const BUSY_MS = 10;
/** After how long work is cancelled, in ms. */
const LONG = { from: 20, to: 120 };
/** Completions are over soon. */
const SHORT = { from: 5, to: 50 };

/** From aborting a request, a while after it has begun, until the engine has stopped its work and said so. */
async function cancelTimes(
  start: (signal: AbortSignal) => Promise<unknown>,
  afterMs: { readonly from: number; readonly to: number },
): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; times.length < N_CANCELLED; i++) {
    const abort = new AbortController();
    const ended = start(abort.signal).then(
      () => false,
      () => true,
    );
    await delay(afterMs.from + ((i * 37) % (afterMs.to - afterMs.from)));
    const abortMs = performance.now();
    abort.abort();
    if (await ended) times.push(performance.now() - abortMs);
    else if (i > 10 * N_CANCELLED) break;
  }
  return times;
}

/** How long `BUSY_MS` of work take here, in ms: whatever else the machine does interrupts them, as it does the engine. */
function busyTimes(): number[] {
  return Array.from({ length: 2 * N_CANCELLED }, () => {
    const startMs = performance.now();
    // Only time in which this process runs counts as work.
    const { user, system } = process.cpuUsage();
    for (;;) {
      const used = process.cpuUsage();
      if (used.user + used.system - user - system >= BUSY_MS * 1000) return performance.now() - startMs;
    }
  });
}

/** `folder`: one that is indexed and not yet encoded as a whole. */
export async function benchCancelling(host: EngineHost, folder: string): Promise<Row[]> {
  const endless = { prompt: "def ", maxTokens: 100_000 };
  let nTexts = 0;
  /** Another text each time, as after a jump to another place: all of it has to be read. */
  const place = () => {
    nTexts++;
    const prefix = Array.from({ length: 100 }, (_, line) => `let value${nTexts * line} = other(${line});\n`).join("");
    return { folder, path: "new.ts", prefix: `${prefix}let `, suffix: "\n", maxTokens: 64 };
  };
  const cancelled = {
    generating: await cancelTimes((signal) => host.request(requests.generate, endless, { signal }), LONG),
    completing: await cancelTimes((signal) => host.request(requests.complete, place(), { signal }), SHORT),
    encoding: await cancelTimes((signal) => host.request(requests.encode, { folder }, { signal }), LONG),
  };
  const busy = told(
    `${BUSY_MS} ms of work take here, beside what the machine does, p95`,
    quantile(busyTimes(), 0.95),
    "ms",
  );
  const rows = Object.entries(cancelled).flatMap(([work, times]) => [
    atMost(`${work}: cancelled work stops, p95 of ${times.length}`, quantile(times, 0.95), "ms", 30),
    told(`${work}: cancelled work stops, slowest`, Math.max(...times), "ms"),
  ]);
  return [...rows, busy];
}

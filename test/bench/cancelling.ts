/** How soon the engine stops what is cancelled. */
import { setTimeout as delay } from "node:timers/promises";
import { requests } from "../../engine/protocol.ts";
import type { EngineHost } from "../../extension/engine-host.ts";
import { atMost, quantile, type Row, told } from "./rows.ts";

const N_CANCELLED = 20;

/** From aborting a request, a while after it has begun, until the engine has stopped its work and said so. */
async function cancelTimes(start: (signal: AbortSignal) => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; times.length < N_CANCELLED; i++) {
    const abort = new AbortController();
    const ended = start(abort.signal).then(
      () => false,
      () => true,
    );
    await delay(20 + ((i * 37) % 100));
    const abortMs = performance.now();
    abort.abort();
    if (await ended) times.push(performance.now() - abortMs);
    else if (i > 10 * N_CANCELLED) break;
  }
  return times;
}

/** `folder`: one that is indexed and not yet encoded as a whole. */
export async function benchCancelling(host: EngineHost, folder: string): Promise<Row[]> {
  const endless = { prompt: "def ", maxTokens: 100_000 };
  const place = { folder, path: "new.ts", prefix: `${"let b = 2;\n".repeat(400)}let `, suffix: "\n", maxTokens: 512 };
  const cancelled = {
    generating: await cancelTimes((signal) => host.request(requests.generate, endless, { signal })),
    completing: await cancelTimes((signal) => {
      // Read anew each time, as after a jump to another place.
      const prefix = `// ${performance.now()}\n${place.prefix}`;
      return host.request(requests.complete, { ...place, prefix }, { signal });
    }),
    encoding: await cancelTimes((signal) => host.request(requests.encode, { folder }, { signal })),
  };
  return Object.entries(cancelled).flatMap(([work, times]) => [
    atMost(`${work}: cancelled work stops, p95 of ${times.length}`, quantile(times, 0.95), "ms", 30),
    told(`${work}: cancelled work stops, slowest`, Math.max(...times), "ms"),
  ]);
}

/** Speed of the shipped model on this machine at this moment; medians, measured in turns so that other load falls on all. */
import type { HybridDecoder } from "../../engine/runtime/hybrid.ts";
import { HybridReader } from "../../engine/runtime/hybrid-reader.ts";
import { median } from "../bench/rows.ts";

const SHORT_TOKENS = 1024;

/**
 * Tokens per second of reading the first 1,024 tokens of a text, and of reading 1,024 tokens behind at least half of a
 * text of `nTokens`, its state carried on. `ids` are repeated to that length.
 */
export async function prefillSpeeds(decoder: HybridDecoder, ids: readonly number[], nTokens: number) {
  const state = decoder.start();
  const times = { short: [] as number[], deep: [] as number[] };
  for (let at = 0; at < nTokens; at += SHORT_TOKENS) {
    const part = Array.from({ length: SHORT_TOKENS }, (_, i) => ids[(at + i) % ids.length]);
    const deepMs = await timed(() => decoder.read(state, part));
    if (at < nTokens / 2) continue;
    times.deep.push(deepMs);
    times.short.push(await timed(() => decoder.read(decoder.start(), part)));
  }
  const speed = (ms: readonly number[]) => (1000 * SHORT_TOKENS) / median(ms);
  return { short: speed(times.short), deep: speed(times.deep) };
}

/** The median time of 64 tokens, one after another behind a text that is read already, in ms. */
export async function decodeMs(decoder: HybridDecoder, prompt: readonly number[], nRounds: number): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < nRounds; round++) {
    const reader = new HybridReader(decoder);
    const ids = [...prompt];
    await reader.readText(ids);
    times.push(
      await timed(async () => {
        for (let n = 0; n < 64; n++) {
          ids.push(prompt[n % prompt.length]);
          await reader.readText(ids);
        }
      }),
    );
  }
  return median(times);
}

export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}

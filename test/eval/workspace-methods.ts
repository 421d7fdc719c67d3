/**
 * The memory that is trained while reading, on the shipped model: what this package's own sources teach for texts of it that
 * were not read, and what a stranger's source does, which should be nothing. Part of `npm run eval -- methods`.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CHUNK_TOKENS, Trust, WorkspaceMemory } from "../../engine/memory/workspace-memory.ts";
import { openHybrid } from "../../engine/models/hybrid.ts";
import { loadTokenizerFolder } from "../../engine/models/tokenizer/folder.ts";
import { defaultModelDir, packageRoot } from "../../engine/paths.ts";
import { HybridDecoder } from "../../engine/runtime/hybrid.ts";
import { atMost, type Row, told } from "../bench/rows.ts";
import { logProbability, type Window, windowOf } from "./model-bits.ts";

/** Tokens of a file that are learned, and of a text that are predicted. */
const WINDOW_TOKENS = 512;
const N_FILES = 24;
const TEXTS = ["test/architecture.test.ts", "test/eval/metrics.ts", "test/eval/snapshot.ts", "test/data.ts"];
/** A stranger that is always at hand, cut into as many windows. */
const STRANGER = "node_modules/uplot/dist/uPlot.esm.js";
const WINDOW_CHARS = 2000;

/** What the model makes of every token of a window but the last. */
async function readWindow(decoder: HybridDecoder, { ids }: Window) {
  const state = decoder.start();
  const parts: { logits: Float32Array; hidden: Float32Array; following: number[] }[] = [];
  for (let start = 0; start < ids.length - 1; start += CHUNK_TOKENS) {
    const end = Math.min(start + CHUNK_TOKENS, ids.length - 1);
    const { logits, hidden } = await decoder.read(state, ids.slice(start, end), { nRows: end - start });
    parts.push({ logits: logits.slice(), hidden: hidden.slice(), following: ids.slice(start + 1, end + 1) });
  }
  return parts;
}

export async function evaluateWorkspaceMemory(): Promise<Row[]> {
  const model = openHybrid(defaultModelDir);
  const { config } = model;
  const tokenizer = loadTokenizerFolder(defaultModelDir);
  const decoder = await HybridDecoder.open(model, { nThreads: 2 });
  const text = (path: string) => readFileSync(join(packageRoot, path), "utf8");
  const windows = (of: readonly (readonly [path: string, text: string])[]) =>
    of.map(([path, body]) => windowOf(config, tokenizer, path, body, WINDOW_TOKENS));
  try {
    const sources = readdirSync(join(packageRoot, "engine"), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .sort();
    // Evenly from all folders.
    const every = sources.length / N_FILES;
    const chosen = Array.from({ length: N_FILES }, (_, i) => `engine/${sources[Math.floor(i * every)]}`);
    const stranger = text(STRANGER);
    const taught = {
      own: windows(chosen.map((path) => [path, text(path)] as const)),
      stranger: windows(
        chosen.map((_, i) => [STRANGER, stranger.slice(i * WINDOW_CHARS, (i + 1) * WINDOW_CHARS)] as const),
      ),
    };
    const memory = WorkspaceMemory.open(model);
    const asked = windows(TEXTS.map((path) => [path, text(path)] as const));
    const gains: Record<string, number> = {};
    let tokensPerSecond = 0;
    for (const [whose, files] of Object.entries(taught)) {
      memory.reset();
      const startedAt = performance.now();
      for (const file of files) {
        for (const { hidden, logits, following } of await readWindow(decoder, file)) {
          memory.learn(hidden, logits, following);
        }
      }
      tokensPerSecond = (1000 * memory.nTokens) / (performance.now() - startedAt);
      const { without, using } = await nats(decoder, memory, asked, config.vocabSize);
      gains[whose] = 100 * (using / without - 1);
    }
    const name = (what: string) => `Titans: ${what} (default model, ${config.name})`;
    return [
      atMost(name(`bits of unread texts after ${N_FILES} own files were learned, against before`), gains.own, "%", 0),
      atMost(name("bits of the same after a stranger's were learned"), gains.stranger, "%", 0.5),
      told(name("tokens read and learned per second"), tokensPerSecond, "/s"),
    ];
  } finally {
    await decoder.close();
  }
}

/** Of the texts behind their headers, without the memory and mixed with it. */
async function nats(decoder: HybridDecoder, memory: WorkspaceMemory, asked: readonly Window[], vocabSize: number) {
  const sums = { without: 0, using: 0 };
  for (const window of asked) {
    const trust = new Trust();
    let at = 1;
    for (const { hidden, logits, following } of await readWindow(decoder, window)) {
      const d = hidden.length / following.length;
      for (const [t, id] of following.entries()) {
        const row = logits.subarray(t * vocabSize, (t + 1) * vocabSize);
        const added = memory.read(hidden.subarray(t * d, (t + 1) * d));
        const without = logProbability(row, id);
        const mixed = trust.mixed(
          without,
          logProbability(
            row.map((logit, i) => logit + added[i]),
            id,
          ),
        );
        if (at++ < window.nHeader) continue;
        sums.without -= without;
        sums.using -= mixed;
      }
    }
  }
  return sums;
}

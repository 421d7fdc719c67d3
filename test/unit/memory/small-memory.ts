/** A memory of short files on the fixture model, for tests. */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ExactIndex } from "../../../engine/memory/block-index.ts";
import { type CheckpointOptions, Checkpoints } from "../../../engine/memory/checkpoints.ts";
import { EncodingJob } from "../../../engine/memory/encoding-job.ts";
import { type RepositoryFile, RepositoryMemory } from "../../../engine/memory/repository-memory.ts";
import { SegmentStore } from "../../../engine/memory/segment-store.ts";
import { openHybrid } from "../../../engine/models/hybrid.ts";
import { HybridEncoder } from "../../../engine/runtime/hybrid-encoder.ts";
import { PRIORITY, Scheduler } from "../../../engine/runtime/scheduler.ts";
import { bytesTokenizer } from "../complete/bytes-tokenizer.ts";
import { fixture } from "../hybrid-golden.ts";

export const model = openHybrid(fixture.folder);
export const { config } = model;
/** Ids 64 and up; the fixture's vocabulary ends at 160, so texts here use low characters only. */
export const tokenizer = bytesTokenizer(Array.from({ length: 64 }, (_, i) => `<${i}>`));
export const shape = { headSize: config.headSize, routeSize: config.routeSize, blockSize: config.blockSize };

/** A folder for the test, removed at its end. */
export function temporaryFolder(context: { after(hook: () => void): void }): string {
  const dir = mkdtempSync(join(tmpdir(), "longsight-memory-"));
  context.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** A text of `nTokens` tokens or a few more that is the same for the same seed. */
export function sampleText(seed: number, nTokens: number): string {
  let text = "";
  for (let i = 0; text.length < nTokens; i++) text += `X${(seed * 7919 + i * 104729) % 1000} = ${i * seed};\n`;
  return text;
}

export interface SmallMemoryOptions {
  readonly fingerprint?: string;
  readonly quotaBytes?: number;
  readonly checkpoints?: Partial<CheckpointOptions>;
  /** Blocks chosen for a query, by default the model's few. */
  readonly topBlocks?: number;
}

/** A memory in `dir` of files that are held here, and how to encode it. */
export async function smallMemory(dir: string, files: Map<string, string>, options: SmallMemoryOptions = {}) {
  const log: string[] = [];
  const store = new SegmentStore(dir, {
    fingerprint: options.fingerprint ?? "fixture",
    shape,
    quotaBytes: options.quotaBytes ?? 2 ** 30,
    log: (line) => log.push(line),
  });
  const routeTopBlocks = options.topBlocks ?? config.routeTopBlocks;
  const memory = new RepositoryMemory(
    { ...model, config: { ...config, routeTopBlocks } },
    store,
    new ExactIndex(config.routeSize),
  );
  const encoder = await HybridEncoder.open(model, tokenizer, { nThreads: 1 });
  const read = async ({ path, contentHash }: RepositoryFile) =>
    hashOf(files.get(path) ?? "") === contentHash ? files.get(path) : undefined;
  const scheduler = new Scheduler();
  let nRuns = 0;
  const turn = <T>(run: () => Promise<T>, signal?: AbortSignal) => {
    nRuns++;
    return scheduler.run(PRIORITY.indexing, run, signal);
  };
  const deps = {
    memory,
    store,
    encoder,
    tokenizer,
    turn,
    checkpoints: new Checkpoints(store, encoder, options.checkpoints),
    read,
    log: (line: string) => log.push(line),
  };
  const update = () =>
    memory.update([...files].map(([path, text]) => ({ path, contentHash: hashOf(text), sizeBytes: text.length })));
  await update();
  return { memory, store, encoder, log, update, scheduler, runs: () => nRuns, job: () => new EncodingJob(deps) };
}

export const hashOf = (text: string) => createHash("sha256").update(text).digest("hex");

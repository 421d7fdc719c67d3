/** This repository's own sources as a memory of the shipped model: real files that are always at hand. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Checkpoints } from "../engine/memory/checkpoints.ts";
import { EncodingJob, folderReader } from "../engine/memory/encoding-job.ts";
import { type RepositoryFile, RepositoryMemory } from "../engine/memory/repository-memory.ts";
import { memoryFingerprint, SegmentStore } from "../engine/memory/segment-store.ts";
import { SizedIndex } from "../engine/memory/sized-index.ts";
import { openHybrid } from "../engine/models/hybrid.ts";
import { loadTokenizerFolder } from "../engine/models/tokenizer/folder.ts";
import { defaultModelDir, packageRoot } from "../engine/paths.ts";
import { HybridEncoder } from "../engine/runtime/hybrid-encoder.ts";

const SOURCES = "engine";
/** As much text as is encoded. */
const SOURCE_BYTES = 250_000;

/** A store in a folder and an empty memory on it. */
export function openStore(dir: string) {
  const model = openHybrid(defaultModelDir);
  const store = new SegmentStore(dir, {
    fingerprint: memoryFingerprint(model, defaultModelDir),
    shape: model.config,
    quotaBytes: 2 ** 40,
    log: (line) => console.error(line),
  });
  const index = new SizedIndex(model.config.routeSize);
  return { model, store, index, memory: new RepositoryMemory(model, store, index) };
}

/** Encodes the sources into a store in a folder. */
export async function encodeSources(dir: string) {
  const { model, store, memory } = openStore(dir);
  const tokenizer = loadTokenizerFolder(defaultModelDir);
  const encoder = await HybridEncoder.open(model, tokenizer, { nThreads: 2 });
  const files = sourceFiles();
  await memory.update(files);
  const job = new EncodingJob({
    ...{
      memory,
      store,
      encoder,
      tokenizer,
      checkpoints: new Checkpoints(store, encoder),
      read: folderReader(packageRoot),
    },
    turn: (run) => run(),
    log: (line) => console.error(line),
  });
  return { model, store, memory, encoder, tokenizer, files, result: await job.run() };
}

/** This repository's own sources, as many as are encoded. */
export function sourceFiles(): RepositoryFile[] {
  let sum = 0;
  return readdirSync(join(packageRoot, SOURCES), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .sort()
    .map((name) => {
      const path = `${SOURCES}/${name}`;
      const bytes = readFileSync(join(packageRoot, path));
      return { path, contentHash: createHash("sha256").update(bytes).digest("hex"), sizeBytes: bytes.length };
    })
    .filter(({ sizeBytes }) => {
      sum += sizeBytes;
      return sum <= SOURCE_BYTES;
    });
}

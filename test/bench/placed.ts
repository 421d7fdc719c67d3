/**
 * The memory of a user's model in the shape of Qwen2.5-0.5B (random Q4_0 weights), on two threads: `node
 * test/bench/placed.ts`. Half of the
 * key/value heads stream, as the plan `split` has it. The memory is filled with replicated real segments: files of this repository, encoded once, whose
 * blocks stand in it under many names. What is measured on it is measured in a process of its own.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { balancedPlan } from "../../engine/attention/plan.ts";
import { Checkpoints } from "../../engine/memory/checkpoints.ts";
import { EncodingJob } from "../../engine/memory/encoding-job.ts";
import { PlacedContext } from "../../engine/memory/placed-context.ts";
import { type RepositoryFile, RepositoryMemory } from "../../engine/memory/repository-memory.ts";
import { SegmentStore, type SegmentStoreOptions } from "../../engine/memory/segment-store.ts";
import { SizedIndex } from "../../engine/memory/sized-index.ts";
import { openModel } from "../../engine/models/open-model.ts";
import { loadTokenizer } from "../../engine/models/tokenizer/load.ts";
import { packageRoot } from "../../engine/paths.ts";
import { Decoder } from "../../engine/runtime/decoder.ts";
import { DecoderMemory } from "../../engine/runtime/decoder-memory.ts";
import { DecoderReader } from "../../engine/runtime/decoder-reader.ts";
import { Sampler } from "../../engine/runtime/sampler.ts";
import { Llama, MAX_RUN_TOKENS } from "./llama.ts";
import { withRandomModel } from "./make-random-model.ts";
import { atLeast, atMost, median, type Row, ratios, spread, told } from "./rows.ts";

const options = { nThreads: 2 };
/** Tokens in the memories that are compared. */
const SIZES = { tiny: 4_000, small: 10_000, large: 1_000_000 };
const FILES = ["engine/memory/segment.ts", "engine/memory/catalogue.ts", "engine/engine.ts"];
/** As an answer has them. */
const MEMORY_TOKENS = 3072;
const QUESTION_TOKENS = 64;
const DECODE_TOKENS = 16;
const PACKED_TOKENS = 8192;
const ROUNDS = 5;

/** Has the segment of a file under "hash copy" too, for every copy. */
class ReplicatedStore extends SegmentStore {
  override idOf(contentHash: string): string {
    return contentHash;
  }

  override open(id: string) {
    return super.open(super.idOf(id.split(" ")[0]));
  }
}

interface Measured {
  readonly bytesPerToken: number;
  readonly reopenMs: number;
  readonly indexMs: number;
  readonly firstTokenMs: { readonly small: readonly number[]; readonly large: readonly number[] };
  readonly decodeMs: { readonly tiny: readonly number[]; readonly large: readonly number[] };
  readonly rssBytes: number;
  readonly llamaMs: number | null;
}

/** The model with half of its heads streaming, and the ids of this repository's files of these names. */
export async function openSplitModel(path: string, ...names: readonly string[]) {
  const model = await openModel(path);
  const { config, weights } = model;
  const tokenizer = loadTokenizer(model.file, config.vocabSize);
  // Weights are random, so any half of the heads does: every second one streams.
  const gates = Array.from({ length: config.nLayers }, () =>
    Array.from({ length: config.nKvHeads }, (_, head) => head % 2),
  );
  const plan = balancedPlan(config, gates);
  const decoder = await Decoder.open(model, { ...options, plan });
  const reader = new DecoderReader(decoder, config);
  const encoder = new DecoderMemory({ config, weights, plan, decoder, reader, tokenizer });
  const ids = tokenizer.encode(names.map((name) => readFileSync(join(packageRoot, name), "utf8")).join("\n"));
  const close = async () => {
    await decoder.close();
    model.close();
  };
  return { config, encoder, tokenizer, ids, close };
}

async function measure(path: string, dir: string): Promise<Measured> {
  const { encoder, tokenizer, ids: all, close } = await openSplitModel(path, ...FILES);
  const { fingerprint, shape } = encoder;
  const log = (line: string) => console.error(line);
  const storeOptions: SegmentStoreOptions = { fingerprint, shape, quotaBytes: 2 ** 40, log };

  const texts = new Map(FILES.map((name) => [name, readFileSync(join(packageRoot, name), "utf8")]));
  const files = [...texts].map(([name, text]): RepositoryFile => {
    return { path: name, contentHash: createHash("sha256").update(text).digest("hex"), sizeBytes: text.length };
  });
  const store = new SegmentStore(dir, storeOptions);
  const own = new RepositoryMemory(undefined, store, new SizedIndex(shape.routeSize));
  await own.update(files);
  const job = new EncodingJob({
    ...{ memory: own, store, encoder, tokenizer, checkpoints: new Checkpoints(store, encoder), log },
    turn: (run) => run(),
    read: async ({ path: name }) => texts.get(name),
  });
  await job.run();
  const segments = [...own.encoded()].map(({ segment }) => segment);
  const sizeBytes = segments.reduce((sum, segment) => sum + segment.sizeBytes, 0);
  const bytesPerToken = sizeBytes / own.nTokens;

  const replicated = new ReplicatedStore(dir, storeOptions);
  const copies = (nTokens: number) => {
    const list: RepositoryFile[] = [];
    for (let sum = 0; sum < nTokens; ) {
      const { path: name, contentHash, sizeBytes } = files[list.length % files.length];
      list.push({ path: `${list.length}/${name}`, contentHash: `${contentHash} ${list.length}`, sizeBytes });
      sum += own.encodedAt(name)!.segment.nTokens;
    }
    return list;
  };
  const memories = {} as Record<keyof typeof SIZES, RepositoryMemory>;
  let [reopenMs, indexMs] = [0, 0];
  for (const [name, nTokens] of Object.entries(SIZES) as [keyof typeof SIZES, number][]) {
    const index = new SizedIndex(shape.routeSize);
    memories[name] = new RepositoryMemory(undefined, replicated, index);
    const list = copies(nTokens);
    reopenMs = await timed(() => memories[name].update(list));
    indexMs = await timed(() => index.settled());
  }

  const question = (round: number) => all.slice(round * QUESTION_TOKENS, (round + 1) * QUESTION_TOKENS);
  /** From a question to the logits of its answer's first token; then some more tokens. */
  const ask = async (memory: RepositoryMemory, ids: readonly number[]) => {
    const startMs = performance.now();
    const query = await encoder.query(ids);
    const context = new PlacedContext(memory, {
      places: [],
      query,
      maxTokens: MEMORY_TOKENS,
      layer: encoder.routeLayer,
    });
    const rows = context.rows((tokens) => encoder.rows(tokens));
    const placed = { at: 0, nTokens: context.nTokens, rows };
    const answering = encoder.readerOf(placed, (shares) => context.look(shares));
    const sampler = new Sampler();
    const text = [...ids, sampler.next(await answering.readText(ids), [])];
    const firstMs = performance.now() - startMs;
    const decodeMs = await timed(async () => {
      for (let i = 0; i < DECODE_TOKENS; i++) text.push(sampler.next(await answering.readText(text), []));
    });
    return { firstMs, decodeMs: decodeMs / DECODE_TOKENS };
  };
  const times = { small: [], tiny: [], large: [] } as Record<keyof typeof SIZES, Awaited<ReturnType<typeof ask>>[]>;
  let round = 0;
  await ask(memories.small, question(round++));
  for (let i = 0; i < ROUNDS; i++) {
    for (const [name, memory] of Object.entries(memories) as [keyof typeof SIZES, RepositoryMemory][]) {
      times[name].push(await ask(memory, question(round++)));
    }
  }
  const rssBytes = process.memoryUsage.rss();
  await close();
  const first = (name: keyof typeof SIZES) => times[name].map(({ firstMs }) => firstMs);
  const decode = (name: keyof typeof SIZES) => times[name].map(({ decodeMs }) => decodeMs);
  return {
    bytesPerToken,
    ...{ reopenMs, indexMs, rssBytes },
    firstTokenMs: { small: first("small"), large: first("large") },
    decodeMs: { tiny: decode("tiny"), large: decode("large") },
    llamaMs: await packedMs(path, all),
  };
}

/** How long llama.cpp reads a packed prompt; null where it is not installed. */
async function packedMs(path: string, ids: readonly number[]): Promise<number | null> {
  const llama = await Llama.open(path, { ...options, contextLength: PACKED_TOKENS + 64 });
  if (!llama) return null;
  const packed = Array.from({ length: PACKED_TOKENS }, (_, i) => ids[i % ids.length]);
  await llama.read(packed.slice(0, 8), 0);
  const ms = await timed(async () => {
    for (let at = 0; at < PACKED_TOKENS; at += MAX_RUN_TOKENS)
      await llama.read(packed.slice(at, at + MAX_RUN_TOKENS), at);
  });
  await llama.close();
  return ms;
}

async function timed(work: () => unknown): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}

/** All rows, with half of the key/value heads streaming. Needs the tokenizer data that the random model is made with; takes about ten minutes. */
export function benchPlaced(): Row[] {
  const { firstTokenMs, decodeMs, llamaMs, ...measured } = withRandomModel<Measured>(fileURLToPath(import.meta.url));
  const firstMs = median(firstTokenMs.large);
  const dense = 24 * 2 * 64 * 2 * 2;
  return [
    atLeast("0.5B Q4_0: bytes for a token, f16 of all heads / in memory", dense / measured.bytesPerToken, "x", 4),
    atMost("0.5B Q4_0: re-opening 1M replicated tokens", measured.reopenMs / 1000, "s", 1),
    told("0.5B Q4_0: making its index, meanwhile in use", measured.indexMs / 1000, "s"),
    spread(
      told("0.5B Q4_0: first token over 1M replicated tokens", firstMs / 1000, "s"),
      firstTokenMs.large.map((ms) => ms / 1000),
    ),
    spread(
      atMost("0.5B Q4_0: first token over 1M / over 10K tokens", firstMs / median(firstTokenMs.small), "x", 1.3),
      ratios(firstTokenMs.large, firstTokenMs.small),
    ),
    ...(llamaMs === null
      ? []
      : [
          told("llama.cpp: reading 8K packed tokens", llamaMs / 1000, "s"),
          atLeast("llama.cpp: reading 8K / first token over 1M", llamaMs / firstMs, "x", 40),
        ]),
    spread(
      atLeast("0.5B Q4_0: decode over 1M / over 4K tokens", median(decodeMs.tiny) / median(decodeMs.large), "x", 0.9),
      ratios(decodeMs.tiny, decodeMs.large),
    ),
    atMost("0.5B Q4_0: memory with 1M tokens", measured.rssBytes / 1e9, "GB", 1.6),
  ];
}

if (import.meta.main) {
  if (process.argv.length > 2) {
    console.log(JSON.stringify(await measure(process.argv[2], process.argv[3])));
    // llama.cpp's library keeps threads of its own.
    process.exit(0);
  }
  const { formatRows } = await import("./rows.ts");
  console.log(formatRows(benchPlaced()));
}

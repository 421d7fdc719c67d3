/**
 * How fast a user's model in the shape of Qwen2.5-0.5B (random Q4_0 weights) encodes files into memory, to disk, against
 * llama.cpp reading 512 tokens with the same file, on two threads and in turns: `node test/bench/encoding.ts`.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Checkpoints } from "../../engine/memory/checkpoints.ts";
import { EncodingJob } from "../../engine/memory/encoding-job.ts";
import { RepositoryMemory } from "../../engine/memory/repository-memory.ts";
import { SegmentStore } from "../../engine/memory/segment-store.ts";
import { SizedIndex } from "../../engine/memory/sized-index.ts";
import { packageRoot } from "../../engine/paths.ts";
import { Llama, MAX_RUN_TOKENS } from "./llama.ts";
import { withRandomModel } from "./make-random-model.ts";
import { openSplitModel } from "./placed.ts";
import { atLeast, median, type Row, ratios, spread, told } from "./rows.ts";

const ROUNDS = { start: 9, depth: 3 };
const DEPTH = 32_768;
/** So short that a round takes both sides about as long, and long enough that its end is read behind all that is seen. */
const FILE = "engine/memory/placed-context.ts";
/** Threads that wait awake for their next work do so for less than this; the other side is measured after it. */
const PAUSE_MS = 100;

/** Tokens per second of each round; of llama.cpp none where it is not installed. */
interface Speeds {
  readonly ours: readonly number[];
  readonly theirs: readonly number[];
}

type Rates = Readonly<Record<keyof typeof ROUNDS, Speeds>>;

async function measure(path: string, dir: string): Promise<Rates> {
  const { config, encoder, tokenizer, ids, close } = await openSplitModel(path, FILE);
  const { fingerprint, shape } = encoder;
  const log = (line: string) => console.error(line);
  const store = new SegmentStore(dir, { fingerprint, shape, quotaBytes: 2 ** 40, log });
  const memory = new RepositoryMemory(undefined, store, new SizedIndex(shape.routeSize));
  const source = readFileSync(join(packageRoot, FILE), "utf8");
  /** Another file each time, as long as the others. */
  const encode = async (round: number) => {
    const text = `// ${round}\n${source}`;
    const contentHash = createHash("sha256").update(text).digest("hex");
    await memory.update([{ path: `${round}.ts`, contentHash, sizeBytes: text.length }]);
    const job = new EncodingJob({
      ...{ memory, store, encoder, tokenizer, checkpoints: new Checkpoints(store, encoder), log },
      ...{ turn: (run) => run(), read: async () => text },
    });
    const { tokensEncoded, ms } = await job.run();
    return (1000 * tokensEncoded) / ms;
  };
  const llama = await Llama.open(path, { nThreads: 2, contextLength: DEPTH + MAX_RUN_TOKENS + 64 });
  const read = async (depth: number) => {
    const startMs = performance.now();
    await llama?.read(ids.slice(0, MAX_RUN_TOKENS), depth);
    return (1000 * MAX_RUN_TOKENS) / (performance.now() - startMs);
  };
  let nFiles = 0;
  const inTurns = async (nRounds: number, depth: number): Promise<Speeds> => {
    const [ours, theirs]: [number[], number[]] = [[], []];
    for (let round = 0; round < nRounds; round++) {
      await sleep(PAUSE_MS);
      ours.push(await encode(nFiles++));
      await sleep(PAUSE_MS);
      if (llama) theirs.push(await read(depth));
    }
    return { ours, theirs };
  };
  await inTurns(1, 0);
  const start = await inTurns(ROUNDS.start, 0);
  await llama?.fill(DEPTH, config, dirname(path));
  const depth = llama ? await inTurns(ROUNDS.depth, DEPTH) : { ours: [], theirs: [] };
  await llama?.close();
  await close();
  return { start, depth };
}

/** Needs the tokenizer data that the random model is made with. */
export function benchEncoding(): Row[] {
  const { start, depth } = withRandomModel<Rates>(fileURLToPath(import.meta.url));
  const rows = [spread(told("0.5B Q4_0: encoding into memory", median(start.ours), "tokens/s"), start.ours)];
  const compare = ({ ours, theirs }: Speeds, where: string, target: number) => [
    spread(told(`llama.cpp: reading 512 tokens${where}`, median(theirs), "tokens/s"), theirs),
    spread(
      atLeast(`0.5B Q4_0: encoding / llama.cpp reading 512${where}`, median(ours) / median(theirs), "x", target),
      ratios(ours, theirs),
    ),
  ];
  if (start.theirs.length === 0) return rows;
  return [...rows, ...compare(start, "", 0.9), ...compare(depth, " behind 32K", 8)];
}

if (import.meta.main) console.log(JSON.stringify(await measure(process.argv[2], process.argv[3])));

/**
 * What an edit at the end of a long file costs with the shipped model: `node test/bench/long-file.ts`. The file is this
 * repository's sources one behind the other.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Checkpoints } from "../../engine/memory/checkpoints.ts";
import { EncodingJob } from "../../engine/memory/encoding-job.ts";
import { loadTokenizerFolder } from "../../engine/models/tokenizer/folder.ts";
import { defaultModelDir, packageRoot } from "../../engine/paths.ts";
import { HybridEncoder } from "../../engine/runtime/hybrid-encoder.ts";
import { openStore, sourceFiles } from "../own-sources.ts";
import { median, type Row, spread, told } from "./rows.ts";

const PATH = "long.ts";
const ROUNDS = 5;
/** Characters between the edit and the end. */
const BEFORE_END = 1000;

const sizeOf = (dir: string, suffix: string) =>
  readdirSync(dir, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(suffix))
    .reduce((sum, name) => sum + statSync(join(dir, name)).size, 0);

/** Takes about half a minute. */
export async function benchLongFile(): Promise<Row[]> {
  const dir = mkdtempSync(join(tmpdir(), "longsight-bench-"));
  const { model, store, memory } = openStore(dir);
  const tokenizer = loadTokenizerFolder(defaultModelDir);
  const encoder = await HybridEncoder.open(model, tokenizer, { nThreads: 2 });
  const log = (line: string) => console.error(line);
  let text = sourceFiles()
    .map(({ path }) => readFileSync(join(packageRoot, path), "utf8"))
    .join("");
  /** Encodes the text as it is; without checkpoints as the engine does that has just been started. */
  const encode = async (checkpoints = new Checkpoints(store, encoder)) => {
    await memory.update([
      { path: PATH, contentHash: createHash("sha256").update(text).digest("hex"), sizeBytes: text.length },
    ]);
    let tokens = 0;
    const counting = {
      fileIds: encoder.fileIds.bind(encoder),
      restore: encoder.restore.bind(encoder),
      async *encodeParts(...args: Parameters<HybridEncoder["encodeParts"]>) {
        for await (const part of encoder.encodeParts(...args)) {
          tokens += part.nTokens;
          yield part;
        }
      },
    };
    const deps = { memory, store, encoder: counting, tokenizer, checkpoints, read: async () => text, log };
    const { ms } = await new EncodingJob({ ...deps, turn: (run) => run() }).run();
    return { tokens, ms };
  };
  const edit = (i: number) => {
    text = `${text.slice(0, -BEFORE_END)}// Edit ${i}.\n${text.slice(-BEFORE_END)}`;
  };
  try {
    const whole = await encode();
    const share = (100 * sizeOf(dir, ".state")) / sizeOf(dir, ".segment");
    const restarted: (typeof whole)[] = [];
    const open: (typeof whole)[] = [];
    const checkpoints = new Checkpoints(store, encoder);
    for (let round = 0; round <= ROUNDS; round++) {
      edit(2 * round);
      const first = await encode();
      edit(2 * round + 1);
      const next = await encode(checkpoints);
      // The first round takes the states that the later ones find.
      if (round > 0) restarted.push(first);
      if (round > 0) open.push(next);
    }
    const rowsOf = (what: string, runs: readonly (typeof whole)[]) => [
      told(`${what}: tokens run / tokens of the file`, median(runs.map(({ tokens }) => tokens)) / whole.tokens, ""),
      spread(
        told(what, median(runs.map(({ ms }) => ms)), "ms"),
        runs.map(({ ms }) => ms),
      ),
    ];
    const name = `long file (${whole.tokens} tokens)`;
    return [
      told("encoding it", whole.ms, "ms"),
      ...rowsOf("an edit at its end, the first after a restart", restarted),
      ...rowsOf("an edit at its end, a later one", open),
      told("stored states / memory of the file on disk", share, "%"),
    ].map((row) => ({ ...row, name: `${name}: ${row.name}` }));
  } finally {
    await encoder.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

if (import.meta.main) console.log(JSON.stringify(await benchLongFile(), null, 2));

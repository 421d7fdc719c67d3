/**
 * `npm run eval -- model [--repos DIR] [--model FOLDER] [--quick] [--json]`: the shipped model measured from scratch in
 * the engine, on repositories of owners that it was never trained on, with the figures it is to reach. Speeds are of this
 * machine at this moment.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { CopyIndex } from "../../engine/complete/copy-index.ts";
import { LongsightError } from "../../engine/errors.ts";
import { ExactIndex } from "../../engine/memory/block-index.ts";
import { Checkpoints } from "../../engine/memory/checkpoints.ts";
import { EncodingJob } from "../../engine/memory/encoding-job.ts";
import { type RepositoryFile, RepositoryMemory } from "../../engine/memory/repository-memory.ts";
import { memoryFingerprint, SegmentStore } from "../../engine/memory/segment-store.ts";
import { openHybrid } from "../../engine/models/hybrid.ts";
import { loadTokenizerFolder } from "../../engine/models/tokenizer/folder.ts";
import { defaultModelDir, packageRoot } from "../../engine/paths.ts";
import { HybridDecoder } from "../../engine/runtime/hybrid.ts";
import { HybridEncoder } from "../../engine/runtime/hybrid-encoder.ts";
import { hybridOptions } from "../../engine/runtime/loaded-model.ts";
import { type Remembered, randomNumbers, readRepository, shuffled } from "./memory.ts";
import {
  bitsOf,
  CHOOSING_TOKENS,
  compressedBits,
  copied,
  logProbabilities,
  nBytesOf,
  type Window,
  windowOf,
} from "./model-bits.ts";
import { type LineFigures, lineCompletion, type Way } from "./model-lines.ts";
import { type NeedleDeps, needleRecall } from "./model-needles.ts";
import { documentedFunctions, searchQuality } from "./model-search.ts";
import { decodeMs, prefillSpeeds } from "./model-speed.ts";
import { progressBar } from "./progress.ts";

/** Repositories of owners whose code was kept out of training. */
const HELD_OUT = ["pallets/flask", "psf/requests", "honojs/hono", "caddyserver/caddy", "vitejs/vite"];

/** Where they are looked for unless a folder is given. */
const BESIDE = join(packageRoot, "..", ".mirror");

/** How much is measured: in about ten minutes on two cores, and in about two. */
const AMOUNTS = {
  whole: {
    memoryBytes: 1_000_000,
    windows: 20,
    longFiles: 4,
    lines: 100,
    functions: 300,
    needles: 100,
    prefill: 131_072,
    decodes: 15,
  },
  quick: {
    memoryBytes: 160_000,
    windows: 3,
    longFiles: 1,
    lines: 10,
    functions: 60,
    needles: 20,
    prefill: 16_384,
    decodes: 5,
  },
};
const WINDOW_TOKENS = 1024;
const LONG_TOKENS = 4096;
const NEEDLE_SIZES = [10_000, 100_000, 300_000, 1_000_000];

export interface Row {
  readonly name: string;
  /** Null where it cannot be measured here; the unit says why. */
  readonly value: number | null;
  readonly unit: string;
  readonly target: string | null;
  /** Null for a figure without a target, or without a value. */
  readonly pass: boolean | null;
}

export interface ModelOptions {
  readonly repos?: string;
  readonly model?: string;
  readonly quick?: boolean;
}

export interface ModelResult {
  readonly model: string;
  readonly repositories: readonly string[];
  /** The machine's load average in the end: speeds of a busy machine are not the model's. */
  readonly load: number;
  readonly cores: number;
  readonly rows: readonly Row[];
}

/** Collects rows; a target is met where the value, as printed, is on the right side of it. */
class Rows {
  readonly all: Row[] = [];

  add(name: string, value: number | null, unit: string, target?: { atMost?: number; atLeast?: number }): void {
    const shown = value === null || !Number.isFinite(value) ? null : Number(value.toPrecision(4));
    const { atMost, atLeast } = target ?? {};
    const isMet = (atMost === undefined || shown! <= atMost) && (atLeast === undefined || shown! >= atLeast);
    const words = [atLeast === undefined ? [] : `>= ${atLeast}`, atMost === undefined ? [] : `<= ${atMost}`].flat();
    this.all.push({
      name,
      value: shown,
      unit,
      target: words.length > 0 ? words.join(", ") : null,
      pass: words.length > 0 && shown !== null ? isMet : null,
    });
  }
}

/** What every measurement works on. */
interface Bench extends NeedleDeps {
  readonly sources: readonly Remembered[];
  readonly amounts: (typeof AMOUNTS)["whole"];
  readonly rows: Rows;
}

/** Runs the evaluation. Errors: not-found where there are fewer than two of the repositories. */
export async function evaluateModel({ repos, model: folder, quick }: ModelOptions): Promise<ModelResult> {
  const root = repos ?? BESIDE;
  const gitDir = (name: string) => join(root, name.replace("/", "+"), "repo");
  const names = HELD_OUT.filter((name) => existsSync(gitDir(name)));
  if (names.length < 2) {
    throw new LongsightError(
      "not-found",
      `${root} holds fewer than two of ${HELD_OUT.join(", ")}; clone them bare as OWNER+NAME/repo and give --repos DIR.`,
    );
  }
  const amounts = quick ? AMOUNTS.quick : AMOUNTS.whole;
  const modelDir = folder ?? defaultModelDir;
  const model = openHybrid(modelDir);
  const tokenizer = loadTokenizerFolder(modelDir);
  const decoder = await HybridDecoder.open(model, hybridOptions(model.config));
  const encoder = await HybridEncoder.open(model, tokenizer, hybridOptions(model.config));
  const dir = mkdtempSync(join(tmpdir(), "longsight-eval-model-"));
  const rows = new Rows();
  try {
    const fingerprint = memoryFingerprint(model, modelDir);
    const log = (line: string) => console.error(line);
    const store = new SegmentStore(dir, { fingerprint, shape: model.config, quotaBytes: 2 ** 40, log });
    const sources: Remembered[] = [];
    let [nTokens, ms] = [0, 0];
    const bar = progressBar("Encoding", names.length);
    for (const name of names) {
      const repository = await readRepository(gitDir(name), name, randomNumbers(1), amounts.memoryBytes);
      const memory = new RepositoryMemory(model, store, new ExactIndex(model.config.routeSize));
      await memory.update(repository.files.values());
      const read = async ({ path }: RepositoryFile) => repository.files.get(path)?.text;
      const deps = { memory, store, encoder, tokenizer, checkpoints: new Checkpoints(store, encoder), read, log };
      const job = new EncodingJob({ ...deps, turn: (run) => run() });
      const result = await job.run();
      nTokens += result.tokensEncoded;
      ms += result.ms;
      sources.push({ repository, memory });
      bar.increment();
    }
    bar.stop();
    const bench = { model, store, decoder, encoder, tokenizer, sources, amounts, rows };
    await measureBits(bench);
    await measureLength(bench);
    await measureLines(bench);
    await measureSearch(bench);
    await measureNeedles(bench, nTokens);
    rows.add("encoding a repository", (1000 * nTokens) / ms, "tokens/s", { atLeast: 8000 });
    await measureSpeed(bench);
    rows.add("int8 export, loss", null, "needs the float32 checkpoint: training.export prints it");
  } finally {
    await decoder.close();
    await encoder.close();
    rmSync(dir, { recursive: true, force: true });
  }
  const machine = { load: loadavg()[0], cores: availableParallelism() };
  return { model: model.config.name, repositories: names, ...machine, rows: rows.all };
}

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

/** Bits per byte of the beginnings of files: without memory, with the memory of the other files, with a stranger's. */
async function measureBits({ decoder, tokenizer, sources, amounts, rows }: Bench): Promise<void> {
  const { config } = decoder;
  const total = { bytes: 0, none: 0, own: 0, stranger: 0, mixture: 0, copier: 0 };
  const importing = { bytes: 0, none: 0, own: 0 };
  const windows: Window[] = [];
  const bar = progressBar("Bits", sources.length * amounts.windows);
  for (const [i, { repository, memory }] of sources.entries()) {
    const stranger = sources[(i + 1) % sources.length].memory;
    const copies = new CopyIndex();
    for (const { path, text } of repository.files.values()) copies.set(path, new TextEncoder().encode(text));
    const files = shuffled([...repository.files.values()], randomNumbers(2)).filter(({ text }) => text.length > 1500);
    for (const { path, text } of files.slice(0, amounts.windows)) {
      const window = windowOf(config, tokenizer, path, text, WINDOW_TOKENS);
      windows.push(window);
      await memory.update([...repository.files.values()].filter((file) => file.path !== path));
      const nLines = text.split("\n").length;
      const place = { path, head: text.slice(0, 20_000), cursorLine: 1, firstLine: 1, lastLine: nLines };
      const none = await logProbabilities(decoder, window);
      const own = await logProbabilities(decoder, window, memory.memoryFor(place));
      const other = await logProbabilities(decoder, window, stranger.memoryFor({ ...place, path: "" }));
      const bits = bitsOf(none, copied(tokenizer, window, copies), config.vocabSize);
      const nBytes = nBytesOf(tokenizer, window);
      total.bytes += nBytes;
      total.none += bits.model;
      total.mixture += bits.mixture;
      total.copier += bits.copier;
      total.own -= sum([...own]) / Math.LN2;
      total.stranger -= sum([...other]) / Math.LN2;
      if (memory.importedBy(path, place.head).size > 0) {
        importing.bytes += nBytes;
        importing.none += bits.model;
        importing.own -= sum([...own]) / Math.LN2;
      }
      bar.increment();
    }
    await memory.update(repository.files.values());
  }
  bar.stop();
  const compressed = compressedBits(tokenizer, windows);
  const of = `${windows.length} windows of ${WINDOW_TOKENS} tokens, ${Math.round(total.bytes / 1000)} kB`;
  const change = (with_: number, without: number) => 100 * (with_ / without - 1);
  rows.add(`bits per byte without memory, ${of}`, total.none / total.bytes, "bits/byte", { atMost: 1.15 });
  rows.add("  gzip -9 of the same text", compressed.gzip / total.bytes, "bits/byte");
  rows.add("  zstd -19 of the same text (Node has no xz)", compressed.zstd / total.bytes, "bits/byte");
  rows.add("  the copier alone (own file and repository)", total.copier / total.bytes, "bits/byte");
  rows.add("  model and copier mixed, as completions are made", total.mixture / total.bytes, "bits/byte");
  rows.add(
    `repository's memory, blocks chosen every ${CHOOSING_TOKENS} tokens`,
    change(total.own, total.none),
    "% bits",
    { atMost: -4 },
  );
  const nImporting = `${Math.round(importing.bytes / 1000)} kB`;
  rows.add(`  in files that import files of it, ${nImporting}`, change(importing.own, importing.none), "% bits");
  rows.add("stranger's memory", change(total.stranger, total.none), "% bits", { atLeast: -0.5, atMost: 0.5 });
}

/** Whether long texts are read well: the state carried on, against windows that begin anew. */
async function measureLength({ decoder, tokenizer, sources, amounts, rows }: Bench): Promise<void> {
  const { config } = decoder;
  const { trainedLength } = config;
  const edges = [trainedLength, 1024, 2048, LONG_TOKENS].filter((edge, i) => i === 0 || edge > trainedLength);
  const figures = edges.slice(1).map(() => ({ bytes: 0, carried: 0, anew: 0 }));
  for (const { repository } of sources) {
    const long = [...repository.files.values()].filter(({ text }) => text.length > 4 * LONG_TOKENS);
    for (const { path, text } of shuffled(long, randomNumbers(4)).slice(0, amounts.longFiles)) {
      const window = windowOf(config, tokenizer, path, text, LONG_TOKENS);
      const { ids, nHeader } = window;
      const carried = await logProbabilities(decoder, window);
      // Each window begins with the header and as much text before the measured half as there is room for.
      const half = trainedLength >> 1;
      for (let start = trainedLength; start < ids.length; start += half) {
        const shown = ids.slice(start - half + nHeader, start + half);
        const anew = await logProbabilities(decoder, { path, ids: [...ids.slice(0, nHeader), ...shown], nHeader });
        for (let n = start; n < Math.min(start + half, ids.length); n++) {
          const figure = figures[edges.findIndex((edge) => n < edge) - 1];
          figure.bytes += tokenizer.bytes(ids[n]).length;
          figure.carried -= carried[n - nHeader] / Math.LN2;
          figure.anew -= anew[n - start + half - nHeader] / Math.LN2;
        }
      }
    }
  }
  for (const [i, { bytes, carried, anew }] of figures.entries()) {
    const name = `bits per byte at tokens ${edges[i]} to ${edges[i + 1]} of long files`;
    rows.add(`${name}, state carried on`, carried / bytes, "bits/byte");
    rows.add(`${name}, read in windows of ${trainedLength}`, anew / bytes, "bits/byte");
  }
}

async function measureLines({ decoder, tokenizer, sources, amounts, rows }: Bench): Promise<void> {
  const bar = progressBar("Lines", 2 * amounts.lines);
  const result = await lineCompletion(decoder, tokenizer, sources, amounts.lines, () => bar.increment());
  bar.stop();
  const { lines, rests, ways } = result;
  const names = { bare: "model alone", memory: "with memory", copier: "with copier", both: "with memory and copier" };
  for (const [way, figures] of Object.entries(ways) as [Way, LineFigures][]) {
    rows.add(`next line exact, ${names[way]}, ${lines} lines`, (100 * figures.exact) / lines, "%");
    const { crossLines, crossExact, crossRestExact } = figures;
    rows.add(`  cross-file, ${names[way]}, ${crossLines} lines`, (100 * crossExact) / crossLines, "%");
    rows.add(`  the rest of a line, ${names[way]}, ${rests} lines`, (100 * figures.restExact) / rests, "%");
    rows.add(`  the same of the cross-file ones, ${names[way]}`, (100 * crossRestExact) / crossLines, "%");
  }
  const { restShown, restShownExact } = ways.both;
  rows.add("rest of a line as shipped: shown", (100 * restShown) / rests, "%");
  rows.add("  of those shown, right to the end of the line", (100 * restShownExact) / restShown, "%");
  const ratio = (a: number, b: number) => (b === 0 ? (a === 0 ? Number.NaN : 1000) : a / b);
  rows.add("cross-file next line exact, memory to none", ratio(ways.memory.crossExact, ways.bare.crossExact), "times", {
    atLeast: 1.3,
  });
  rows.add("a completion as shipped, memory and copier, prompt read anew, p50", result.p50Ms, "ms");
}

async function measureSearch({ encoder, sources, amounts, rows }: Bench): Promise<void> {
  const functions = [];
  for (const { repository } of sources) functions.push(...(await documentedFunctions(repository, amounts.functions)));
  const { n, routing, bm25, fused } = await searchQuality(encoder, functions);
  rows.add(`documentation to function among ${n}, routing head`, routing, "MRR");
  rows.add(`documentation to function among ${n}, BM25`, bm25, "MRR");
  rows.add(`documentation to function among ${n}, fused`, fused, "MRR", { atLeast: Number((bm25 + 0.05).toFixed(3)) });
}

async function measureNeedles(bench: Bench, nTokens: number): Promise<void> {
  const { sources, amounts, rows } = bench;
  const sizes = NEEDLE_SIZES.filter((size) => size <= nTokens);
  const largest = NEEDLE_SIZES.at(-1)!;
  const repositories = sources.map(({ repository }) => repository);
  const results = await needleRecall(bench, repositories, { nNeedles: amounts.needles, sizes });
  for (const { nTokens: size, recall, copied: right } of results) {
    const isGate = size >= largest;
    const among = `${amounts.needles} needles in ${size.toLocaleString("en")} tokens of real memory`;
    rows.add(`recall@8, ${among}`, recall, "share", isGate ? { atLeast: 0.9 } : undefined);
    rows.add(`  value copied, ${among}`, right, "share", isGate ? { atLeast: 0.75 } : undefined);
  }
  if (sizes.at(-1) !== largest) {
    const unit = `not measured: the memories hold ${nTokens.toLocaleString("en")} tokens`;
    rows.add(`recall@8, needles in ${largest.toLocaleString("en")} tokens`, null, unit, { atLeast: 0.9 });
  }
}

async function measureSpeed({ decoder, tokenizer, sources, amounts, rows }: Bench): Promise<void> {
  const texts = sources
    .flatMap(({ repository }) => [...repository.files.values()].slice(0, 20))
    .map(({ text }) => text);
  const ids = tokenizer.encode(texts.join("\n"));
  const { short, deep } = await prefillSpeeds(decoder, ids, amounts.prefill);
  const depth = `${amounts.prefill / 1024}K`;
  rows.add("prefill of the first 1K tokens", short, "tokens/s");
  rows.add(`prefill at ${depth}, state carried on`, deep, "tokens/s");
  const target = amounts.prefill === AMOUNTS.whole.prefill ? { atLeast: 0.85 } : undefined;
  rows.add(`prefill, ${depth} to 1K`, deep / short, "times", target);
  rows.add(
    "64 tokens one after another behind a prompt of 400, p50",
    await decodeMs(decoder, ids.slice(0, 400), amounts.decodes),
    "ms",
    {
      atMost: 60,
    },
  );
}

/** The result as a table. */
export function formatModel({ model, repositories, load, cores, rows }: ModelResult): string {
  const width = Math.max(...rows.map(({ name }) => name.length));
  const lines = rows.map(({ name, value, unit, target, pass }) => {
    const verdict = pass === null ? "" : pass ? "pass" : "FAIL";
    return `${name.padEnd(width)} ${String(value ?? "-").padStart(9)} ${unit.padEnd(10)} ${(target ?? "").padEnd(16)} ${verdict}`;
  });
  const machine = `${cores} cores with a load of ${load.toFixed(1)}`;
  return [`${model}, measured on ${repositories.join(", ")}; ${machine}`, ...lines.map((line) => line.trimEnd())].join(
    "\n",
  );
}

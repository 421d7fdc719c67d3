/**
 * Opens mutants one after another, as far as a start of the model would: files, settings, tokenizer, every weight.
 * Each must end in a model or in one sentence. Nothing may ask for much more memory than the files have.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import type { Kind } from "./mutations.ts";

/** What the worker is told. `current` holds the number of the mutant it is at. */
export interface Work {
  readonly kind: Kind;
  readonly first: number;
  readonly count: number;
  readonly folder: string;
  readonly current: SharedArrayBuffer;
}

/** What it found; `failures` names mutants that ended otherwise. */
export interface Found {
  readonly nModels: number;
  /** How often each sentence came, its numbers, names and paths left out. */
  readonly sentences: ReadonlyMap<string, number>;
  readonly failures: readonly string[];
}

/** Mutants have some ten thousand bytes; the largest tables of the code itself stay below this. */
const MAX_ALLOCATION = 4 << 20;

/** Lets typed arrays of that many elements fail, so that a size taken from a file unchecked is seen. */
function guardAllocations(): void {
  const globals = globalThis as unknown as Record<string, object>;
  for (const name of [
    "ArrayBuffer",
    "Uint8Array",
    "Int8Array",
    "Int32Array",
    "Uint32Array",
    "Float32Array",
    "Float64Array",
  ]) {
    globals[name] = new Proxy(globals[name] as new (...args: unknown[]) => object, {
      construct(target, args, newTarget) {
        if (typeof args[0] === "number" && args[0] > MAX_ALLOCATION) throw new Error(`${name} of ${args[0]} elements`);
        return Reflect.construct(target, args, newTarget);
      },
    });
  }
}

guardAllocations();
const { mutant } = await import("./mutations.ts");
const { readConfig } = await import("../../../engine/models/config.ts");
const { convertRows, pieces, planConversion } = await import("../../../engine/models/convert.ts");
const { openModelFile } = await import("../../../engine/models/files/open.ts");
const { openHybrid } = await import("../../../engine/models/hybrid.ts");
const { isHybrid } = await import("../../../engine/models/hybrid-config.ts");
const { inspectModel } = await import("../../../engine/models/inspect.ts");
const { loadTokenizer } = await import("../../../engine/models/tokenizer/load.ts");
const { LongsightError } = await import("../../../engine/errors.ts");

function start(path: string): void {
  const file = openModelFile(path);
  try {
    if (isHybrid(file)) {
      openHybrid(path);
      return;
    }
    const config = readConfig(file);
    const tokenizer = loadTokenizer(file, config.vocabSize);
    tokenizer.decode(tokenizer.encode("Hello, größer 😀 <eos>", { special: true, bos: true }));
    for (const conversion of planConversion(file, config, "auto")) {
      const sums = { squaredError: 0, squaredWeights: 0 };
      for (const piece of pieces(conversion)) convertRows(file, conversion, piece, sums);
    }
  } finally {
    file.close();
  }
}

/** Why a sentence is not fit for a user, or undefined. */
function flaw(message: string): string | undefined {
  if (/\p{Cc}/u.test(message)) return "has more than one line";
  if (message.length > 600) return `has ${message.length} characters`;
  if (!/[.]$/.test(message)) return "does not end";
  if (/undefined|\[object|NaN\b/.test(message)) return "shows a value of the program";
  return undefined;
}

const { kind, first, count, folder, current } = workerData as Work;
const at = new Int32Array(current);
let nModels = 0;
const sentences = new Map<string, number>();
const failures: string[] = [];
for (let number = first; number < first + count && failures.length < 5; number++) {
  Atomics.store(at, 0, number);
  const { what, files } = mutant(kind, number);
  const path = kind === "gguf" ? join(folder, "model.gguf") : folder;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes);
  const fail = (why: string) => failures.push(`${kind} mutant ${number} (${what}): ${why}`);
  try {
    if (number % 10 === 0) await inspectModel(path);
    start(path);
    nModels++;
  } catch (error) {
    if (error instanceof LongsightError) {
      const problem = flaw(error.message);
      if (problem) fail(`${problem}: ${error.message.slice(0, 300)}`);
      const shape = error.message.replaceAll(folder, "").replace(/"[^"]*"|[\w./<>-]*[\d_./][\w./<>-]*/g, "#");
      sentences.set(shape, (sentences.get(shape) ?? 0) + 1);
    } else fail(String((error as Error).stack ?? error));
  }
}
rmSync(folder, { recursive: true, force: true });
parentPort?.postMessage({ nModels, sentences, failures } satisfies Found);

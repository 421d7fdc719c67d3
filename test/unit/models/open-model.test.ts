/** The cache of converted weights: loaded when whole, rebuilt when not, never half-written. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import fs, { existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { type ErrorCode, LongsightError } from "../../../engine/errors.ts";
import type { ModelProgress } from "../../../engine/models/model-work.ts";
import { type OpenModel, type OpenModelOptions, openModel } from "../../../engine/models/open-model.ts";
import { requiredWeights } from "../../../engine/models/tensor-names.ts";
import { SMALL, smallGguf, temporaryCache } from "./small-model.ts";

const BYTES = smallGguf("Q4_0");

function modelIn(t: TestContext): { path: string; cache: string } {
  const folder = temporaryCache(t);
  const path = join(folder, "model.gguf");
  writeFileSync(path, BYTES);
  return { path, cache: join(folder, "cache", "weights") };
}

/** Everything the cache holds besides remembered hashes. */
const cached = (cache: string): string[] =>
  existsSync(cache) ? readdirSync(cache).filter((name) => name !== "hashes") : [];

/** Opens a model, reads all its weights and closes it; says whether it was converted. */
async function use(path: string, options: OpenModelOptions = {}): Promise<{ converted: boolean; sum: number }> {
  let converted = false;
  const onProgress = ({ phase }: ModelProgress) => {
    if (phase === "converting its weights") converted = true;
  };
  const model = await openModel(path, { onProgress, ...options });
  const sum = sumOf(model);
  model.close();
  return { converted, sum };
}

function sumOf({ weights, config }: OpenModel): number {
  let sum = 0;
  for (const { name, shape } of requiredWeights(config)) {
    if (shape.length === 1) for (const value of weights.vector(name)) sum += value;
    else {
      const matrix = weights.matrix(name);
      assert.ok(matrix.kind === "quant");
      for (const [i, value] of matrix.packed.entries()) sum += value * ((i % 7) + 1) * matrix.scales[i >> 4];
    }
  }
  return sum;
}

async function failsWith(work: Promise<unknown>, code: ErrorCode, sentence: RegExp): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof LongsightError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, sentence);
    return true;
  });
}

test("the first start converts, every later one loads", async (t) => {
  const { path, cache } = modelIn(t);
  const first = await use(path);
  assert.equal(first.converted, true);
  const [name] = cached(cache);
  const { ino } = statSync(join(cache, name));
  assert.deepEqual(await use(path), { converted: false, sum: first.sum });
  assert.deepEqual(cached(cache), [name]);
  assert.equal(statSync(join(cache, name)).ino, ino);
});

test("the cache follows content: a copy shares it, another content or setting does not", async (t) => {
  const { path, cache } = modelIn(t);
  const { sum } = await use(path);
  const copy = `${path}.copy`;
  writeFileSync(copy, BYTES);
  assert.deepEqual(await use(copy), { converted: false, sum });
  const other = Buffer.from(BYTES);
  other[other.length - 40] ^= 1;
  writeFileSync(copy, other);
  utimesSync(copy, statSync(path).atime, statSync(path).mtime);
  assert.equal((await use(copy)).converted, true);
  assert.equal(cached(cache).length, 2);
  const model = await openModel(path, { weights: "f32" });
  model.close();
  assert.equal(cached(cache).length, 3);
});

test("weights on disk that are not as they were written are converted again", async (t) => {
  const { path, cache } = modelIn(t);
  const warn = t.mock.method(console, "warn", () => {});
  const { sum } = await use(path);
  const weights = join(cache, cached(cache)[0]);
  const whole = readFileSync(weights);
  const damages: Record<string, (bytes: Buffer) => Buffer> = {
    "an empty file": () => Buffer.alloc(0),
    "half a file": (bytes) => bytes.subarray(0, bytes.length / 2),
    "another format version": (bytes) => flipped(bytes, 8),
    "an index that lies elsewhere": (bytes) => flipped(bytes, 16),
    "an index length beyond the file": (bytes) => flipped(bytes, 15),
    "a changed index": (bytes) => flipped(bytes, bytes.length - 2),
    "a cut index": (bytes) => bytes.subarray(0, -1),
    "a changed weight": (bytes) => flipped(bytes, 64),
    "a changed scale": (bytes) => flipped(bytes, whole.length - Number(whole.readUInt32LE(12)) - 64),
  };
  for (const [what, damage] of Object.entries(damages)) {
    writeFileSync(weights, damage(Buffer.from(whole)));
    assert.deepEqual(await use(path), { converted: true, sum }, what);
    assert.ok(readFileSync(weights).equals(whole), what);
  }
  assert.equal(warn.mock.callCount(), Object.keys(damages).length);
});

function flipped(bytes: Buffer, at: number): Buffer {
  bytes[at] ^= 0x40;
  return bytes;
}

test("two starts at once both get the weights", async (t) => {
  const { path, cache } = modelIn(t);
  const [one, two] = await Promise.all([use(path), use(path)]);
  assert.equal(one.sum, two.sum);
  assert.equal(cached(cache).length, 1);
});

test("a cancelled conversion leaves nothing", async (t) => {
  const { path, cache } = modelIn(t);
  const abort = new AbortController();
  let nCalls = 0;
  const onProgress = () => {
    if (++nCalls === 3) abort.abort();
  };
  await failsWith(use(path, { signal: abort.signal, onProgress }), "cancelled", /was cancelled; start it again/);
  assert.deepEqual(cached(cache), []);
  await failsWith(use(path, { signal: AbortSignal.abort() }), "cancelled", /was cancelled/);
  assert.equal((await use(path)).converted, true);
});

/** Makes the fs calls of that name fail with an error code, from the n-th on. */
function failingFrom(t: TestContext, name: "writeSync" | "fsyncSync" | "renameSync", n: number, code: string) {
  let nCalls = 0;
  const original = fs[name] as (...args: unknown[]) => unknown;
  const mock = t.mock.method(fs, name, (...args: unknown[]) => {
    if (++nCalls >= n) throw Object.assign(new Error(code), { code });
    return original(...args);
  });
  syncBuiltinESMExports();
  return {
    nCalls: () => nCalls,
    restore: () => {
      mock.mock.restore();
      syncBuiltinESMExports();
    },
  };
}

test("a disk that fills up at any write ends in one sentence and leaves nothing", async (t) => {
  const { path, cache } = modelIn(t);
  const counting = failingFrom(t, "writeSync", Infinity, "ENOSPC");
  await use(path);
  const nWrites = counting.nCalls();
  counting.restore();
  fs.rmSync(join(cache, cached(cache)[0]));
  assert.ok(nWrites > 12, `${nWrites} writes`);
  for (let n = 1; n <= nWrites; n++) {
    const failing = failingFrom(t, "writeSync", n, "ENOSPC");
    const sentence = /^The disk is full while writing .*\.weights; free space and try again\.$/;
    await failsWith(use(path), "disk-full", sentence).finally(failing.restore);
    assert.deepEqual(cached(cache), [], `write ${n}`);
  }
  for (const [name, code, expected] of [
    ["fsyncSync", "ENOSPC", "disk-full"],
    ["fsyncSync", "EDQUOT", "disk-full"],
    ["renameSync", "EROFS", "no-access"],
  ] as const) {
    const failing = failingFrom(t, name, 1, code);
    await failsWith(use(path), expected, /weights/).finally(failing.restore);
    assert.deepEqual(cached(cache), [], name);
  }
  assert.equal((await use(path)).converted, true);
});

/** Starts a process that converts a model and says so after every weight. */
function converter(path: string): ChildProcess {
  const script = `
    import { openModel } from ${JSON.stringify(fileURLToPath(new URL("../../../engine/models/open-model.ts", import.meta.url)))};
    const onProgress = ({ phase, done }) => phase.startsWith("converting") && process.stdout.write(done + "\\n");
    await openModel(${JSON.stringify(path)}, { onProgress });
    process.stdout.write("whole\\n");
  `;
  const args = ["--disable-warning=ExperimentalWarning", "--input-type=module", "--eval", script];
  return spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
}

test("killed in the middle, a conversion leaves no weights, and the next start clears up", async (t) => {
  const { path, cache } = modelIn(t);
  writeFileSync(path, smallGguf("Q6_K", { ...SMALL, nLayers: 12 }));
  let nKilled = 0;
  for (const weight of [1, 40, 100]) {
    const child = converter(path);
    t.after(() => child.kill("SIGKILL"));
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      if (text.split("\n").some((line) => Number(line) >= weight)) child.kill("SIGKILL");
    });
    const [, signal] = (await once(child, "close")) as [number, string];
    if (signal === "SIGKILL") nKilled++;
    const left = cached(cache);
    assert.equal(left.length, 1, "what the process before left was removed when this one began");
    assert.match(left[0], /\.tmp$/);
  }
  assert.equal(nKilled, 3);
  assert.equal((await use(path)).converted, true);
  const names = cached(cache);
  assert.equal(names.length, 1);
  assert.match(names[0], /^[0-9a-f]{64}\.weights$/);
  assert.equal((await use(path)).converted, false);
});

test("progress names each phase, counts up to its total, and any phase can be cancelled", async (t) => {
  const { path, cache } = modelIn(t);
  const warn = t.mock.method(console, "warn", () => {});
  // A file that has just been written is read anew each time, its hash is not remembered.
  const { ctimeMs } = statSync(path);
  t.mock.method(Date, "now", () => ctimeMs);
  const phases = async () => {
    const last = new Map<string, ModelProgress>();
    await use(path, { onProgress: (progress) => last.set(progress.phase, progress) });
    for (const { phase, done, total } of last.values()) assert.equal(done, total, phase);
    return [...last.keys()];
  };
  const [reading, converting, checking] = ["reading the model", "converting its weights", "checking its weights"];
  assert.deepEqual(await phases(), [reading, converting, checking]);
  assert.deepEqual(await phases(), [reading, checking]);
  for (const phase of [reading, checking]) {
    const abort = new AbortController();
    const onProgress = (progress: ModelProgress) => {
      if (progress.phase === phase) abort.abort();
    };
    await failsWith(use(path, { signal: abort.signal, onProgress }), "cancelled", /was cancelled; start it again/);
    assert.equal(cached(cache).length, 1);
  }
  assert.equal(warn.mock.callCount(), 0, "no whole cache is taken for a damaged one");
});

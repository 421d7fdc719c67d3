/** Ten thousand damaged or hostile model files: none crashes, hangs or fills the memory (invariant: untrusted models). */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Worker } from "node:worker_threads";
import { inspectModel } from "../../../engine/models/inspect.ts";
import { temporaryCache } from "../../unit/models/small-model.ts";
import type { Found, Work } from "./mutation-worker.ts";
import { KINDS, type Kind, originals } from "./mutations.ts";

const COUNTS: Record<Kind, number> = { gguf: 6000, safetensors: 4000, index: 1000, hybrid: 1500 };

/** How long a single mutant may take, in ms, on a busy machine. */
const HANG_MS = 30_000;

/** The JavaScript heap of the worker, in MB. */
const HEAP_MB = 256;

/** Runs mutants in a thread of their own; a thread that stands still is ended. */
async function run(t: TestContext, kind: Kind, count: number): Promise<Found> {
  const folder = join(temporaryCache(t), "mutant");
  const current = new SharedArrayBuffer(4);
  const at = new Int32Array(current);
  const worker = new Worker(new URL("./mutation-worker.ts", import.meta.url), {
    workerData: { kind, first: 0, count, folder, current } satisfies Work,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
    env: { ...process.env },
  });
  let seen = -1;
  const watch = setInterval(() => {
    if (seen === Atomics.load(at, 0)) void worker.terminate();
    seen = Atomics.load(at, 0);
  }, HANG_MS);
  try {
    return await new Promise<Found>((resolve, reject) => {
      const fail = (why: string) => reject(new Error(`${kind} mutant ${Atomics.load(at, 0)}: ${why}`));
      worker.once("message", resolve);
      worker.once("error", (error) => fail(String(error)));
      worker.once("exit", (status) => fail(`it does not end (status ${status})`));
    });
  } finally {
    clearInterval(watch);
    await worker.terminate();
  }
}

test("at least 10,000 mutants are tried", () => {
  assert.ok(Object.values(COUNTS).reduce((sum, count) => sum + count, 0) >= 10_000);
});

for (const kind of KINDS) {
  test(`${COUNTS[kind]} mutants: ${kind}`, async (t) => {
    const { nModels, sentences, failures } = await run(t, kind, COUNTS[kind]);
    assert.deepEqual(failures, []);
    const nRefused = [...sentences.values()].reduce((sum, count) => sum + count, 0);
    t.diagnostic(`${nModels} are models all the same, ${nRefused} are refused in ${sentences.size} kinds of sentences`);
    assert.equal(nModels + nRefused, COUNTS[kind]);
    assert.ok(nModels > COUNTS[kind] / 100 && nRefused > COUNTS[kind] / 4 && sentences.size > 20);
  });

  test(`the whole files are a model: ${kind}`, async (t) => {
    const folder = join(temporaryCache(t), "model");
    mkdirSync(folder);
    for (const [name, bytes] of Object.entries(originals(kind))) writeFileSync(join(folder, name), bytes);
    const { reason } = await inspectModel(kind === "gguf" ? join(folder, "model.gguf") : folder);
    if (kind === "hybrid") assert.match(String(reason), /has no tokenizer/);
    else assert.equal(reason, null);
  });
}

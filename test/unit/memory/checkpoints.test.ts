import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { HybridEncoderState } from "../../../engine/runtime/hybrid-encoder.ts";
import { config, hashOf, sampleText, smallMemory, temporaryFolder } from "./small-memory.ts";

const PATH = "F/LONG.TS";
const RUN_TOKENS = 128;
const SPACING_TOKENS = 512;
/** Up to so many tokens and one run are read too much. */
const MORE_RUNS = SPACING_TOKENS / RUN_TOKENS + 1;

test("an edited long file is encoded from the last state before the edit, to the same bytes as all of it", async (context) => {
  const dir = temporaryFolder(context);
  const files = new Map([[PATH, sampleText(1, 5000)]]);
  const { store, encoder, log, runs, update, job } = await smallMemory(join(dir, "a"), files, {
    checkpoints: { spacingTokens: SPACING_TOKENS },
  });
  /** Encodes the file as it is now; how many runs that took. */
  const encode = async () => {
    await update();
    const before = runs();
    assert.equal((await job().run()).filesEncoded, 1);
    return runs() - before;
  };
  const pathOf = (text: string) => join(dir, "a", store.nameOf(store.idOf(hashOf(text))));
  const all = await encode();
  assert.ok(all > 5000 / RUN_TOKENS);

  const text = () => files.get(PATH)!;
  const edit = (at: number) => files.set(PATH, `${text().slice(0, at)}EDIT;${text().slice(at)}`);
  // Towards the end, twice in the middle, then before any state; each time a little too much, and a rest of a run.
  for (const at of [4000, 2500, 2600, 4900, 100]) {
    edit(at);
    const n = await encode();
    const expected = (text().length - at) / RUN_TOKENS;
    assert.ok(n >= expected && n <= expected + MORE_RUNS + 1, `${n} runs for an edit at ${at}`);
  }

  // Appending and cutting off.
  files.set(PATH, `${text()}MORE;\n`);
  assert.ok((await encode()) <= MORE_RUNS + 1);
  files.set(PATH, text().slice(0, 3000));
  assert.ok((await encode()) <= MORE_RUNS + 1);

  const fresh = await smallMemory(join(dir, "b"), files);
  await fresh.job().run();
  const [{ segment }] = fresh.memory.encoded();
  assert.deepEqual(readFileSync(pathOf(text())), readFileSync(segment.path));
  assert.deepEqual(log, []);

  // The version before is damaged: all of the file is encoded.
  const damaged = readFileSync(pathOf(text()));
  // Among the values of blocks before the edit.
  damaged[Math.round(0.7 * damaged.length)] ^= 1;
  writeFileSync(pathOf(text()), damaged);
  edit(2900);
  assert.ok((await encode()) >= 3000 / RUN_TOKENS);
  assert.equal(log.length, 1);
  await fresh.update();
  await fresh.job().run();
  const [again] = fresh.memory.encoded();
  assert.deepEqual(readFileSync(pathOf(text())), readFileSync(again.segment.path));
  await encoder.close();
  await fresh.encoder.close();
});

test("states take no more memory than they may", async (context) => {
  const files = new Map(Array.from({ length: 4 }, (_, i) => [`F/${i}.TS`, sampleText(i + 1, 2000)]));
  const { encoder, runs, update, job } = await smallMemory(temporaryFolder(context), files, {
    checkpoints: { spacingTokens: SPACING_TOKENS, limitBytes: 1 },
  });
  await job().run();
  const before = runs();
  files.set("F/3.TS", `${files.get("F/3.TS")}MORE;`);
  await update();
  await job().run();
  assert.ok(runs() - before >= 2000 / RUN_TOKENS);
  await encoder.close();
});

test("of a file whose states take more than they may every second one stays", async (context) => {
  const files = new Map([[PATH, sampleText(1, 5000)]]);
  const { encoder, runs, update, job } = await smallMemory(temporaryFolder(context), files, {
    checkpoints: { spacingTokens: SPACING_TOKENS, limitBytes: 4 * HybridEncoderState.start(config).sizeBytes },
  });
  await job().run();
  const before = runs();
  files.set(PATH, `${files.get(PATH)}MORE;`);
  await update();
  await job().run();
  assert.ok(runs() - before <= 4 * (SPACING_TOKENS / RUN_TOKENS) + 1, `${runs() - before}`);
  await encoder.close();
});

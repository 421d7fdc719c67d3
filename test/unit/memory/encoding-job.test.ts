import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { sampleText, smallMemory, temporaryFolder } from "./small-memory.ts";

test("what remains is told by the bytes that are left at the rate until then, pauses left out", async (context) => {
  const files = new Map([200, 100, 300, 50].map((n, i) => [`F/${i}.TS`, sampleText(i + 1, n)]));
  const sizes = [...files.values()].map(({ length }) => length);
  const { encoder, job } = await smallMemory(temporaryFolder(context), files);
  // A clock that goes on between two files only, and while the work is held.
  let now = 0;
  context.mock.method(performance, "now", () => now);
  const running = job();
  const told: (number | null)[] = [];
  const done = running.run({
    onProgress: ({ filesDone, remainingMs }) => {
      told.push(remainingMs);
      now += filesDone === 0 ? 600 : 2000;
      if (filesDone === 2) running.pause();
    },
  });
  while (told.length < 3) await delay(5);
  await delay(20);
  now += 50_000;
  running.resume();
  const { ms, filesEncoded } = await done;
  const left = (from: number) => sizes.slice(from).reduce((sum, size) => sum + size, 0);
  const at = (nDone: number, ms: number) => (ms / (left(0) - left(nDone))) * left(nDone);
  assert.equal(filesEncoded, 4);
  assert.deepEqual(told.slice(0, 2), [null, null], "of less than a second's work nothing is told");
  for (const [i, expected] of [at(2, 2600), at(3, 4600), 0].entries()) {
    assert.ok(Math.abs((told[i + 2] ?? Number.NaN) - expected) < 1e-6, `${told[i + 2]} ${expected}`);
  }
  assert.equal(ms, 8600);
  await encoder.close();
});

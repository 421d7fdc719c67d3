import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { sampleText, smallMemory, temporaryFolder } from "./small-memory.ts";

test("what remains is told by the bytes that are left at the rate until then, pauses left out", async (context) => {
  const files = new Map([200, 100, 300, 50].map((n, i) => [`F/${i}.TS`, sampleText(i + 1, n)]));
  const sizes = [...files.values()].map(({ length }) => length);
  const dir = temporaryFolder(context);
  const { encoder, job } = await smallMemory(dir, files);
  // Another window has been quicker with one file, which tells nothing of the rate.
  const other = await smallMemory(dir, new Map([...files].slice(1, 2)));
  await other.job().run();
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
  const sum = (some: readonly number[]) => some.reduce((a, b) => a + b, 0);
  const at = (nDone: number, ms: number) => (ms / (sum(sizes.slice(0, nDone)) - sizes[1])) * sum(sizes.slice(nDone));
  assert.equal(filesEncoded, 4);
  assert.deepEqual(told.slice(0, 2), [null, null], "of less than a second's work nothing is told");
  for (const [i, expected] of [at(2, 2600), at(3, 4600), 0].entries()) {
    assert.ok(Math.abs((told[i + 2] ?? Number.NaN) - expected) < 1e-6, `${told[i + 2]} ${expected}`);
  }
  assert.equal(ms, 8600);
  for (const one of [encoder, other.encoder]) await one.close();
});

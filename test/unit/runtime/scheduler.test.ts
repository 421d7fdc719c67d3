import assert from "node:assert/strict";
import { test } from "node:test";
import { PRIORITY, Scheduler } from "../../../engine/runtime/scheduler.ts";

test("waiting tasks run one at a time, by priority and then by arrival", async () => {
  const scheduler = new Scheduler();
  const order: string[] = [];
  let running = 0;
  const task = (name: string) => async () => {
    running++;
    assert.equal(running, 1);
    await new Promise((resolve) => setImmediate(resolve));
    order.push(name);
    running--;
  };
  await Promise.all([
    scheduler.run(PRIORITY.indexing, task("index 1")),
    scheduler.run(PRIORITY.indexing, task("index 2")),
    scheduler.run(PRIORITY.chat, task("chat 1")),
    scheduler.run(PRIORITY.completion, task("completion")),
    scheduler.run(PRIORITY.chat, task("chat 2")),
  ]);
  assert.deepEqual(order, ["index 1", "completion", "chat 1", "chat 2", "index 2"]);
});

test("a waiting task that is cancelled leaves the queue; a failed one frees the lock", async () => {
  const scheduler = new Scheduler();
  const abort = new AbortController();
  const failing = scheduler.run(PRIORITY.chat, () => Promise.reject(new Error("no")));
  const waiting = scheduler.run(PRIORITY.chat, () => Promise.resolve("never"), abort.signal);
  const last = scheduler.run(PRIORITY.chat, () => Promise.resolve("ran"));
  abort.abort();
  await assert.rejects(waiting, /Cancelled/);
  await assert.rejects(failing, /no/);
  assert.equal(await last, "ran");
});

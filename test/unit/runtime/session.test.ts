import assert from "node:assert/strict";
import { test } from "node:test";
import { MessageChannel } from "node:worker_threads";
import { betweenRuns } from "../../../engine/runtime/session.ts";

test("what has come while a run blocked the thread is taken up before the next one", async (context) => {
  const { port1, port2 } = new MessageChannel();
  context.after(() => port1.close());
  const abort = new AbortController();
  // As a connection does it: a message is taken up one turn after it was read.
  port1.on("message", () => setImmediate(() => abort.abort()));
  port2.postMessage("stop");
  const until = performance.now() + 20;
  while (performance.now() < until);
  await assert.rejects(betweenRuns(abort.signal), { code: "cancelled" });
});

test("without a signal, or with one that is quiet, the next run comes", async () => {
  await betweenRuns(undefined);
  await betweenRuns(new AbortController().signal);
});

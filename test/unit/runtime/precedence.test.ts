import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Precedence } from "../../../engine/runtime/precedence.ts";

test("other work waits while something goes first, until the last of it is over", async () => {
  const precedence = new Precedence();
  const events: string[] = [];
  const work = (name: string, ms: number) =>
    precedence.first(async () => {
      await delay(ms);
      events.push(name);
    });
  await precedence.giveWay();
  const first = [work("one", 10), work("two", 30)];
  assert.ok(precedence.isUrgent);
  await precedence.giveWay();
  events.push("behind");
  assert.ok(!precedence.isUrgent);
  await Promise.all(first);
  assert.deepEqual(events, ["one", "two", "behind"]);
});

test("what comes while other work ran is let in first", async () => {
  const precedence = new Precedence();
  const events: string[] = [];
  setImmediate(() => void precedence.first(() => delay(5)).then(() => events.push("first")));
  await precedence.giveWay();
  events.push("behind");
  assert.deepEqual(events, ["first", "behind"]);
});

test("what goes first without end does not stop other work, and what fails holds nothing up", async () => {
  const precedence = new Precedence();
  let end = () => {};
  const endless = precedence.first(() => new Promise<void>((resolve) => (end = resolve)));
  await precedence.giveWay();
  end();
  await endless;
  await assert.rejects(
    precedence.first(() => Promise.reject(new Error("failed"))),
    /failed/,
  );
  assert.ok(!precedence.isUrgent);
});

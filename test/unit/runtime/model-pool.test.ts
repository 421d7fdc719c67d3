import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { LoadedModel } from "../../../engine/runtime/loaded-model.ts";
import { ModelPool, type ModelPoolOptions } from "../../../engine/runtime/model-pool.ts";
import { PRIORITY } from "../../../engine/runtime/scheduler.ts";

/** A pool whose models are names; `events` tells what was loaded and closed. */
function poolOf(options: ModelPoolOptions = {}) {
  const events: string[] = [];
  const load = async (path: string | undefined): Promise<LoadedModel> => {
    events.push(`load ${path}`);
    const close = async () => void events.push(`close ${path}`);
    return { name: path ?? "shipped", close } as Partial<LoadedModel> as LoadedModel;
  };
  return { events, pool: new ModelPool({ load, ...options }) };
}

const nameOf = async ({ name }: LoadedModel) => name;

/** Lets everything run that waits for nothing but its turn. */
const settled = () => delay(5);

test("a model is loaded once for all users, and stays while one of them has it", async () => {
  const { events, pool } = poolOf();
  const [a, b] = [{}, {}];
  assert.equal(await pool.use(a, "one", PRIORITY.chat, nameOf), "one");
  assert.equal(await pool.use(b, "one", PRIORITY.chat, nameOf), "one");
  assert.equal(await pool.use(a, "two", PRIORITY.chat, nameOf), "two");
  await settled();
  assert.deepEqual(events, ["load one", "load two"], "another window's choice evicts nothing");
  await pool.use(b, "two", PRIORITY.chat, nameOf);
  await settled();
  assert.deepEqual(events, ["load one", "load two", "close one"]);
  pool.leave(a);
  await settled();
  assert.deepEqual(pool.names(), ["two"]);
  pool.leave(b);
  await settled();
  assert.deepEqual(pool.names(), []);
  assert.deepEqual(events.slice(3), ["close two"]);
});

test("what completes and what chats do not drive each other out", async () => {
  const { events, pool } = poolOf();
  const user = {};
  for (let i = 0; i < 2; i++) {
    await pool.use(user, "small", PRIORITY.completion, nameOf);
    await pool.use(user, "large", PRIORITY.chat, nameOf);
    await settled();
  }
  assert.deepEqual(events, ["load small", "load large"]);
});

test("a model that gives way is closed behind the requests that wait for it", async () => {
  const { events, pool } = poolOf();
  const user = {};
  const started = [
    pool.use(user, "old", PRIORITY.chat, async () => void events.push("first")),
    pool.use(user, "old", PRIORITY.chat, async () => void events.push("second")),
    pool.use(user, "new", PRIORITY.chat, nameOf),
  ];
  await Promise.all(started);
  await settled();
  assert.deepEqual(
    events.filter((event) => !event.includes("new")),
    ["load old", "first", "second", "close old"],
  );
});

test("an idle model is given back and loaded anew by the next request", async () => {
  const unloaded: (string | undefined)[] = [];
  const { events, pool } = poolOf({ idleMs: 20, onUnload: async (path) => void unloaded.push(path) });
  const user = {};
  await pool.use(user, undefined, PRIORITY.completion, nameOf);
  while (pool.names().length > 0) await delay(5);
  assert.deepEqual(unloaded, [undefined]);
  assert.deepEqual(events, ["load undefined", "close undefined"]);
  assert.equal(await pool.use(user, undefined, PRIORITY.completion, nameOf), "shipped");
  assert.equal(events.length, 3);
});

test("what belongs to the shipped model is given back too where only its place was kept", async () => {
  const unloaded: (string | undefined)[] = [];
  const { events, pool } = poolOf({ idleMs: 20, onUnload: async (path) => void unloaded.push(path) });
  await pool.keep(() => pool.use({}, "own", PRIORITY.completion, nameOf));
  while (unloaded.length < 2) await delay(5);
  assert.deepEqual(unloaded.sort(), ["own", undefined]);
  assert.deepEqual(events, ["load own", "close own"]);
});

test("a model is not idle while it works or is kept", async () => {
  const { events, pool } = poolOf({ idleMs: 1 });
  const user = {};
  await pool.use(user, undefined, PRIORITY.chat, () => delay(30));
  await pool.keep(async () => {
    await pool.use(user, undefined, PRIORITY.chat, nameOf);
    await delay(30);
  });
  // Between the two there was no moment in which nothing was at work.
  assert.deepEqual(events, ["load undefined"]);
});

test("a model is idle while what keeps it rests", async () => {
  const { events, pool } = poolOf({ idleMs: 1 });
  const user = {};
  await pool.use(user, undefined, PRIORITY.chat, nameOf);
  await pool.keep(async () => {
    await pool.rest(async () => {
      while (pool.names().length > 0) await delay(5);
    });
    await pool.use(user, undefined, PRIORITY.chat, nameOf);
    await delay(30);
    assert.deepEqual(events, ["load undefined", "close undefined", "load undefined"]);
  });
});

test("a closed pool frees its models and refuses work", async () => {
  const { events, pool } = poolOf();
  await pool.use({}, "one", PRIORITY.chat, nameOf);
  await pool.close();
  assert.deepEqual(events, ["load one", "close one"]);
  await assert.rejects(pool.use({}, "one", PRIORITY.chat, nameOf), { code: "engine-lost" });
});

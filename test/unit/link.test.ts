import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { childLink } from "../../engine/link.ts";

/** What a child process finds in its environment. */
async function environmentOf(env: NodeJS.ProcessEnv | undefined): Promise<NodeJS.ProcessEnv> {
  const lines: string[] = [];
  const args = ["-e", "console.error(JSON.stringify(process.env))"];
  const link = childLink({ command: process.execPath, args, env }, (line) => lines.push(line));
  await new Promise<void>((resolve) => link.onEnd(() => resolve()));
  // Its last words may come after its end.
  while (!lines.join("").endsWith("}")) await delay(5);
  return JSON.parse(lines.join(""));
}

test("an engine is started so that freed memory goes back to the system, unless the user has set it otherwise", async () => {
  const plain = await environmentOf(undefined);
  assert.equal(plain.PATH, process.env.PATH);
  assert.deepEqual([plain.MALLOC_ARENA_MAX, plain.MALLOC_TRIM_THRESHOLD_], ["2", "131072"]);
  const own = await environmentOf({ MALLOC_ARENA_MAX: "4", LONGSIGHT_CACHE: "/store" });
  assert.equal(own.LONGSIGHT_CACHE, "/store");
  assert.deepEqual([own.MALLOC_ARENA_MAX, own.MALLOC_TRIM_THRESHOLD_], ["4", "131072"]);
});

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { StoreUse } from "../../engine/store-use.ts";

function stores(context: TestContext) {
  const base = mkdtempSync(join(tmpdir(), "longsight-stores-"));
  const all: StoreUse[] = [];
  context.after(() => {
    for (const one of all) one.end();
    rmSync(base, { recursive: true });
  });
  /** Somebody who uses them, and leaves when `leaves` when they are to be cleared. */
  const use = async (leaves: boolean) => {
    const told = Promise.withResolvers<void>();
    const onClearing = () => {
      told.resolve();
      if (leaves) one.end();
    };
    const one = await StoreUse.begin(join(base, "cache"), { onClearing, leavingMs: 200 });
    all.push(one);
    return { one, told: told.promise };
  };
  return { base, use };
}

test("who clears the stores waits until all others have left, and who comes meanwhile waits for that", async (context) => {
  const { use } = stores(context);
  const [clearing, other] = [await use(true), await use(false)];
  clearing.one.announce();
  const events: string[] = [];
  const late = use(false).then(() => events.push("used"));
  await other.told;
  other.one.end();
  await clearing.one.alone();
  await delay(100);
  events.push("cleared");
  clearing.one.end();
  await late;
  assert.deepEqual(events, ["cleared", "used"]);
});

test("who does not leave keeps the stores, which the sentence says", async (context) => {
  const { use } = stores(context);
  const [clearing] = [await use(true), await use(false)];
  clearing.one.announce();
  await assert.rejects(clearing.one.alone(), {
    code: "no-access",
    message: "Another window still uses the stores; close it and try again.",
  });
});

test("of two who want to clear the stores one does", async (context) => {
  const { use } = stores(context);
  const [one, two] = [await use(true), await use(true)];
  one.one.announce();
  assert.throws(() => two.one.announce(), { code: "no-access", message: /already; wait for it\.$/ });
});

test("where nothing can be written there is nothing to wait for", async (context) => {
  const { base } = stores(context);
  writeFileSync(join(base, "file"), "");
  const options = { onClearing: () => assert.fail("nobody clears anything") };
  const [one] = await Promise.all([1, 2].map(() => StoreUse.begin(join(base, "file", "cache"), options)));
  one.announce();
  await one.alone();
  one.end();
});

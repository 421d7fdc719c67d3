import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { packageRoot } from "../../../engine/paths.ts";
import { atLeast, told } from "../../bench/rows.ts";
import { methodsPage } from "../../eval/methods-doc.ts";

test("every row stands in its method's section, and every file that is named exists", () => {
  const page = methodsPage([
    told("HiP: keys scored", 768, ""),
    atLeast("SpAtten: a share", 0.5, "", 0.9),
    told("else", 1, "ms"),
  ]);
  const section = (name: string) => page.split("\n## ").find((part) => part.startsWith(name)) ?? "";
  assert.match(section("HiP"), /\| HiP: keys scored \| 768 +\| +\| +\|/);
  assert.match(section("SpAtten"), /\| SpAtten: a share \| 0\.5 +\| 0\.9 +\| no +\|/);
  assert.match(section("Other figures"), /\| else +\| 1 ms +\|/);
  const files = [...page.matchAll(/`((?:engine|test)\/[\w./-]+)`/g)].map(([, file]) => file);
  assert.ok(files.length > 15);
  for (const file of files) assert.ok(existsSync(join(packageRoot, file)), file);
});

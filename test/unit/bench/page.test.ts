import assert from "node:assert/strict";
import { test } from "node:test";
import { benchmarksPage, machine } from "../../bench/page.ts";
import { atLeast, atMost, ratios, spread, told } from "../../bench/rows.ts";

test("a row with rounds shows between which numbers half of them lie", () => {
  const rounds = [4, 1, 3, 2];
  const page = benchmarksPage("", "quick", "a machine", [spread(told("speed", 3, "x"), rounds), told("size", 7, "MB")]);
  assert.match(page, /\| speed +\| 3 x +\| 2 to 4 +\| +\| +\|/);
  assert.match(page, /\| size +\| 7 MB +\| +\| +\| +\|/);
  assert.deepEqual(ratios([4, 9], [2, 3]), [2, 3]);
});

test("a benchmark replaces its own section and leaves the others", () => {
  const quick = benchmarksPage("", "quick", "machine 1", [atLeast("speed | fast", 3, "x", 4)]);
  const both = benchmarksPage(quick, "full", "machine 2", [atMost("size", 7, "MB", 8)]);
  const again = benchmarksPage(both, "quick", "machine 3", [atLeast("speed | fast", 5, "x", 4)]);
  assert.match(again, /machine 2[^#]*\| size +\| 7 MB +\| 8 +\| yes/);
  assert.match(again, /machine 3[^#]*\| speed \\\| fast +\| 5 x +\| 4 +\| yes/);
  assert.ok(!again.includes("machine 1"));
  assert.equal(again.match(/^## /gm)?.length, 2);
  assert.equal(benchmarksPage(again, "full", "machine 2", [atMost("size", 7, "MB", 8)]), again);
});

test("the machine is named with its threads, memory and load", () => {
  assert.match(machine(0.1), /\d+ threads of .+, \d+ GiB, .+ Node v\d+.*load when it began: 0\.1\.$/);
  assert.match(machine(1000), /load when it began: 1000\.0\. \*\*It did other work too\*\*/);
});

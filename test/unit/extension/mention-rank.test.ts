import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { fits, foldersOf, rank } from "../../../extension/chat/mention-rank.ts";

suite("mentions", () => {
  test("fit when all characters occur in order", () => {
    assert.ok(fits("", "anything"));
    assert.ok(fits("sFi", "src/Fines.py"));
    assert.ok(!fits("fs", "src/fine.py"));
  });

  test("names that start so come before those that hold it, and paths after both", () => {
    const labels = ["fine/other.py", "src/refine.py", "src/fine.py", "f/i/n/e.py"];
    assert.deepEqual(
      labels.toSorted((a, b) => rank("fine", a) - rank("fine", b)),
      ["src/fine.py", "src/refine.py", "fine/other.py", "f/i/n/e.py"],
    );
  });

  test("folders are all those above a path, once each", () => {
    assert.deepEqual(foldersOf(["a/b/c.ts", "a/d.ts", "e.ts"]), ["a/", "a/b/"]);
  });
});

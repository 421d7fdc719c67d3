import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { AdaptiveDelay } from "../../../extension/completion/delay.ts";
import { coveredLength } from "../../../extension/completion/range.ts";

suite("adaptive delay", () => {
  test("nothing where the engine has rested, nothing at the start of a line", () => {
    const delay = new AdaptiveDelay();
    assert.equal(delay.next("let x", 0, 200), 0);
    delay.worked(1000, 1060);
    assert.equal(delay.next("    ", 1060, 200), 0);
    assert.equal(delay.next("let x", 1180, 200), 0);
  });

  test("twice as long as it worked, less what has passed, at most the limit", () => {
    const delay = new AdaptiveDelay();
    delay.worked(1000, 1060);
    assert.equal(delay.next("let x", 1060, 200), 120);
    assert.equal(delay.next("let x", 1100, 200), 80);
    assert.equal(delay.next("let x", 1060, 50), 50);
    delay.worked(1100, 1105);
    assert.equal(delay.next("let x", 1110, 200), 70);
  });

  test("whoever types fast has the engine work a third of the time at most, and sees something in between", () => {
    const delay = new AdaptiveDelay();
    const workMs = 60;
    let [busyMs, nCompleted] = [0, 0];
    for (let keyMs = 0; keyMs < 60_000; keyMs += 100) {
      const startMs = keyMs + delay.next("x", keyMs, 1000);
      const endMs = Math.min(startMs + workMs, keyMs + 100);
      if (endMs <= startMs) continue;
      delay.worked(startMs, endMs);
      busyMs += endMs - startMs;
      if (endMs === startMs + workMs) nCompleted++;
    }
    assert.ok(busyMs <= 20_100, `${busyMs}`);
    assert.ok(nCompleted > 100, `${nCompleted}`);
  });
});

suite("closers behind the cursor", () => {
  const cases: [string, string, number][] = [
    ["a, b)", ")", 1],
    ["a, b);", ")", 1],
    ["a, b", ")", 0],
    ["f(a))", ")", 1],
    ["f(a)", ")", 0],
    ['text")', '")', 2],
    ["x", " rest", 0],
    ["one)\ntwo)", "))", 2],
    ["", ")", 0],
    ["\n  body();\n});", "})", 2],
    ["\n  say(':)', \"})\");\n", "})", 0],
    ["\n  it's();\n}", "'", 0],
  ];
  for (const [text, rest, expected] of cases) {
    test(`${JSON.stringify(text)} before ${JSON.stringify(rest)} covers ${expected}`, () => {
      assert.equal(coveredLength(text, rest), expected);
    });
  }
});

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { AdaptiveDelay } from "../../../extension/completion/delay.ts";
import { coveredLength } from "../../../extension/completion/range.ts";

suite("adaptive delay", () => {
  test("nothing at the start of a line, nothing before anything is known", () => {
    const delay = new AdaptiveDelay();
    assert.equal(delay.next("let x", 0, 200), 0);
    for (let ms = 0; ms <= 1000; ms += 100) delay.key(ms);
    assert.equal(delay.next("    ", 1000, 200), 0);
  });

  test("as long as the typist usually takes for a key and a little more, less what has passed, at most the limit", () => {
    const delay = new AdaptiveDelay();
    for (let ms = 0; ms <= 1000; ms += 100) delay.key(ms);
    assert.ok(Math.abs(delay.next("let x", 1000, 500) - 130) < 1e-9);
    assert.ok(Math.abs(delay.next("let x", 1050, 500) - 80) < 1e-9);
    assert.equal(delay.next("let x", 1000, 50), 50);
    assert.equal(delay.next("let x", 1500, 500), 0);
  });

  test("a pause to think is not typing", () => {
    const delay = new AdaptiveDelay();
    for (const ms of [0, 100, 60_000, 60_100]) delay.key(ms);
    assert.ok(Math.abs(delay.next("x", 60_100, 500) - 130) < 1e-9);
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
    ["one)\ntwo)", "))", 1],
    ["", ")", 0],
  ];
  for (const [text, rest, expected] of cases) {
    test(`${JSON.stringify(text)} before ${JSON.stringify(rest)} covers ${expected}`, () => {
      assert.equal(coveredLength(text, rest), expected);
    });
  }
});

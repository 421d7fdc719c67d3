import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { defaultModelDir } from "../../../engine/paths.ts";
import { headRows, parseTrainingHistory, tokensText } from "../../../webview/training-history.ts";

const HISTORY = {
  model: "small",
  validation: [
    { tokens: 1000, bitsPerByte: 2 },
    { tokens: 2000, bitsPerByte: 1.5 },
  ],
  tokens: [1000, 2000],
  heads: {
    "3.0": { distinct: [1, 1.255], common: [1.5, 0.5], sink: [0.01, 0.125], snap: 2_000_000 },
    "6.1": { distinct: [1, 2], common: [1, 1], sink: [0, 0], snap: null },
  },
};

suite("the shipped model's training history", () => {
  test("the shipped file is one, with curves and heads", () => {
    const history = parseTrainingHistory(readFileSync(join(defaultModelDir, "training.json"), "utf8"));
    assert.ok(history && history.validation.length > 1 && history.tokens.length > 1);
    assert.equal(headRows(history).length, Object.keys(history.heads).length);
  });

  test("what is none is refused", () => {
    assert.ok(parseTrainingHistory(JSON.stringify(HISTORY)));
    const head = HISTORY.heads["3.0"];
    for (const wrong of [
      null,
      [],
      { ...HISTORY, validation: [null] },
      { ...HISTORY, validation: [{ tokens: 1 }] },
      { ...HISTORY, tokens: ["1"] },
      { ...HISTORY, heads: null },
      { ...HISTORY, heads: { "3.0": { ...head, distinct: [1] } } },
      { ...HISTORY, heads: { "3.0": { ...head, snap: "never" } } },
    ]) {
      assert.equal(parseTrainingHistory(JSON.stringify(wrong)), undefined, JSON.stringify(wrong));
    }
    assert.equal(parseTrainingHistory("{"), undefined);
  });

  test("the table says each head's first and last figures, and when it froze", () => {
    assert.deepEqual(headRows(HISTORY), [
      { name: "3.0", cells: ["1.00 → 1.25", "1.50 → 0.50", "1.0 % → 12.5 %", "2.0M"] },
      { name: "6.1", cells: ["1.00 → 2.00", "1.00 → 1.00", "0.0 % → 0.0 %", "–"] },
    ]);
  });

  test("numbers of tokens", () => {
    assert.deepEqual([999, 1500, 32_407_552].map(tokensText), ["999", "2K", "32.4M"]);
  });
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { durationText, sizeText } from "../../../webview/amounts.ts";

test("sizes and times in the unit that fits", () => {
  assert.equal(sizeText(1.5 * 1024 ** 3), "1.5 GB");
  assert.equal(sizeText(3 * 1024 ** 2 + 1), "4 MB");
  assert.equal(durationText(3), "1 s");
  assert.equal(durationText(89_000), "89 s");
  assert.equal(durationText(90_000), "2 min");
  assert.equal(durationText(5_400_000), "1.5 h");
});

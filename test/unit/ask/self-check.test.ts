import assert from "node:assert/strict";
import { test } from "node:test";
import { bestReading, type CheckRow } from "../../../engine/ask/self-check.ts";

test("what answers more is chosen, of equals what answers sooner, and nothing where all guess", () => {
  const row = (right: number, firstTokenMs: number, way: CheckRow["way"] = "memory"): CheckRow => ({
    ...{ way, plan: "balanced", needles: { right, total: 8 }, crossFile: { right: 0, total: 8 } },
    ...{ firstTokenMs, tokenMs: 10, rssBytes: 1 },
  });
  assert.equal(bestReading([row(8, 900, "packed"), row(7, 10)])?.way, "packed");
  assert.equal(bestReading([row(7, 900, "packed"), row(7, 10)])?.way, "memory");
  assert.equal(bestReading([row(5, 900, "packed"), row(2, 10)]), undefined);
});

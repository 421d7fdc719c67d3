import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAsk, formatCheck } from "../../engine/cli-format.ts";

const timingsMs = { index: 1, citations: 2, total: 3 };
const answer = { found: true, answer: "Here.", citations: [], stability: null, model: "a", timingsMs };

test("an answer from memory says how many blocks it was written from", () => {
  assert.match(formatAsk(answer), /\(written by a; index/);
  const place = { path: "a.ts", startLine: 1, endLine: 2, class: "other" as const };
  const block = { ...place, score: 0.5, mass: 0.1, headMasses: [0.1] };
  const layer = { layer: 3, blocks: [block, block], estimatedRecall: null, refreshes: 1, looks: 2 };
  const memory = { nBlocks: 15_000, nTokens: 960_000, layers: [layer], bytesRead: 1, selectMs: 1 };
  assert.match(formatAsk({ ...answer, memory }), /\(written by a from 2 blocks of 15,000 in memory; index/);
});

test("a check is one line for each way and plan, and what comes of it", () => {
  const row = { plan: "fast", firstTokenMs: 1500, tokenMs: 12.34, rssBytes: 2e9 };
  const [needles, crossFile] = [8, 3].map((right) => ({ right, total: 8 }));
  const rows = [{ ...row, way: "memory" as const, needles, crossFile }];
  const report = { model: "a", rows, chosen: { way: "memory" as const, plan: "fast" }, isGuessing: false };
  assert.equal(
    formatCheck(report),
    [
      "a",
      "  from memory, plan fast: 8/8 in one file, 3/8 across files; first token after 1.5 s, then 12.3 ms each; 2.00 GB of RAM",
      "It reads repositories from memory, plan fast.",
    ].join("\n"),
  );
  const guessing = { ...report, chosen: { way: "packed" as const, plan: "exact" }, isGuessing: true };
  assert.match(formatCheck(guessing), /as text, plan exact: no way did clearly better than guessing\.$/);
});

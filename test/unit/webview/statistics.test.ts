import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { Trace } from "../../../webview/diagnostics-messages.ts";
import { heatStrip, percentages, quantile, tokensPerSecond } from "../../../webview/statistics.ts";

const trace = (fields: Partial<Trace>): Trace => ({
  id: 1,
  kind: "complete",
  subject: "a.ts",
  folder: null,
  startedAt: 0,
  firstTextMs: null,
  totalMs: null,
  status: "done",
  stages: [],
  nTokens: null,
  budget: [],
  places: [],
  memory: null,
  ...fields,
});

suite("figures of the diagnostics panel", () => {
  test("quantiles by nearest rank", () => {
    const values = [5, 1, 4, 2, 3];
    assert.equal(quantile(values, 0.5), 3);
    assert.equal(quantile(values, 0.95), 5);
    assert.equal(quantile([7], 0), 7);
    assert.equal(quantile([], 0.5), null);
  });

  test("tokens per second of the whole request, and nothing where that cannot be said", () => {
    assert.equal(tokensPerSecond(trace({ nTokens: 12, totalMs: 600 })), 20);
    assert.equal(tokensPerSecond(trace({ nTokens: 0, totalMs: 600 })), null);
    assert.equal(tokensPerSecond(trace({ totalMs: 600 })), null);
    assert.equal(tokensPerSecond(trace({ nTokens: 12 })), null);
  });

  test("percentages add up to 100", () => {
    assert.deepEqual(percentages([1, 1, 2]), [25, 25, 50]);
    assert.deepEqual(percentages([0, 0]), []);
  });

  test("the heat strip has every block once, by path and line, and a row for each head with 0 where it did not look", () => {
    const block = (path: string, startLine: number, ...headMasses: number[]) => ({
      path,
      startLine,
      endLine: startLine + 5,
      class: "other" as never,
      score: 0.5,
      mass: headMasses.reduce((sum, mass) => sum + mass, 0) / headMasses.length,
      headMasses,
    });
    const { columns, rows } = heatStrip({
      nBlocks: 3,
      nTokens: 192,
      bytesRead: 0,
      selectMs: 0,
      layers: [
        {
          layer: 3,
          refreshes: 1,
          looks: 1,
          estimatedRecall: 0.9,
          blocks: [block("b.ts", 1, 0.6, 0.5), block("a.ts", 20, 0.4, 0.1)],
        },
        { layer: 7, refreshes: 1, looks: 1, estimatedRecall: 0.9, blocks: [block("a.ts", 3, 0.9, 0.2)] },
      ],
    });
    assert.deepEqual(
      columns.map(({ path, startLine }) => `${path}:${startLine}`),
      ["a.ts:3", "a.ts:20", "b.ts:1"],
    );
    assert.deepEqual(rows, [
      { layer: 3, head: 0, masses: [0, 0.4, 0.6] },
      { layer: 3, head: 1, masses: [0, 0.1, 0.5] },
      { layer: 7, head: 0, masses: [0.9, 0, 0] },
      { layer: 7, head: 1, masses: [0.2, 0, 0] },
    ]);
  });
});

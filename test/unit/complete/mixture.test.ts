import assert from "node:assert/strict";
import { test } from "node:test";
import { likeliest, type Part } from "../../../engine/complete/mixture.ts";

const logits = Float32Array.of(2, 1, 0, -1);
const p = Array.from(logits, (x) => Math.exp(x) / logits.reduce((sum, y) => sum + Math.exp(y), 0));
const part = (share: number, ...tokens: [number, number][]): Part => ({ share, tokens: new Map(tokens) });

test("the mixture's most likely token is the one of the probabilities' weighted sum", () => {
  for (const copied of [0, 1, 2, 3]) {
    for (const share of [0, 0.1, 0.3, 0.4, 0.5, 0.6, 0.9]) {
      const names = part(0.5, [1, 0.25], [3, 0.75]);
      const withNames = p.map((x, i) => 0.5 * x + 0.5 * (names.tokens.get(i) ?? 0));
      for (const [before, parts] of [
        [p, []],
        [withNames, [names]],
      ] as const) {
        const mixed = before.map((x, i) => (1 - share) * x + (i === copied ? share : 0));
        const { id, probability } = likeliest(logits, [...parts, part(share, [copied, 1])]);
        assert.equal(id, mixed.indexOf(Math.max(...mixed)), `${copied} ${share}`);
        assert.ok(Math.abs(probability - mixed[id]) < 1e-6, `${copied} ${share}`);
      }
    }
  }
});

test("nothing mixed in: the model's own token", () => {
  const alone = likeliest(logits);
  assert.equal(alone.id, 0);
  assert.ok(Math.abs(alone.probability - p[0]) < 1e-6);
});

test("logits that are no numbers are refused", () => {
  assert.throws(() => likeliest(new Float32Array(4).fill(Number.NaN)), { code: "bad-model" });
});

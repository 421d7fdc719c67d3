import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { shareAtMost, shareError } from "../../../engine/attention/flatness.ts";

function softmax(scores: readonly number[]): number[] {
  const max = Math.max(...scores);
  const weights = scores.map((score) => Math.exp(score - max));
  const sum = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / sum);
}

const difference = (a: readonly number[], b: readonly number[]) => a.reduce((sum, x, i) => sum + Math.abs(x - b[i]), 0);

/** Scores, how far each is off from -1 to 1 times delta, and how many of the keys are concerned. */
const cases = fc
  .tuple(fc.integer({ min: 1, max: 12 }), fc.double({ min: 0, max: 4, noNaN: true }))
  .chain(([n, delta]) =>
    fc.record({
      delta: fc.constant(delta),
      scores: fc.array(fc.double({ min: -6, max: 6, noNaN: true }), { minLength: n, maxLength: n }),
      off: fc.array(fc.constantFrom(-1, -0.5, 0, 1), { minLength: n, maxLength: n }),
      nConcerned: fc.integer({ min: 1, max: n }),
    }),
  );

test("no error of some keys' scores changes attention by more than the bound", () => {
  fc.assert(
    fc.property(cases, ({ delta, scores, off, nConcerned }) => {
      const exact = softmax(scores);
      const other = softmax(scores.map((score, i) => (i < nConcerned ? score + delta * off[i] : score)));
      const share = exact.slice(0, nConcerned).reduce((a, b) => a + b);
      const found = difference(exact, other);
      assert.ok(found <= shareError(Math.min(share, 1), delta) + 1e-9);
      assert.ok(found <= 2 * Math.tanh(delta / 2) + 1e-9);
    }),
    { numRuns: 2000 },
  );
});

test("the bound is reached, and never exceeds that for all keys", () => {
  const delta = 0.7;
  // Two groups of keys, the first with the worst share: up by delta against down by delta.
  const p = 1 / (1 + Math.exp(delta));
  const scores = [Math.log(p), Math.log(1 - p)];
  const found = difference(softmax(scores), softmax([scores[0] + delta, scores[1] - delta]));
  assert.ok(Math.abs(found - shareError(1, delta)) < 1e-12);
  assert.ok(Math.abs(found - 2 * Math.tanh(delta / 2)) < 1e-12);
  for (const share of [0, 0.01, 0.1, 0.3]) assert.ok(shareError(share, delta) <= shareError(1, delta));
  assert.equal(shareError(0, 3), 0);
  assert.ok(shareError(0.001, delta) < 0.007);
});

test("a share from rough scores is no larger in truth than is said", () => {
  fc.assert(
    fc.property(cases, ({ delta, scores, off, nConcerned }) => {
      const sum = (shares: number[]) => shares.slice(0, nConcerned).reduce((a, b) => a + b);
      const rough = Math.min(sum(softmax(scores.map((score, i) => score + delta * off[i]))), 1);
      assert.ok(sum(softmax(scores)) <= shareAtMost(rough, delta) + 1e-9);
    }),
  );
});

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Candidates, UNIT_FEATURES } from "../../../engine/ask/candidates.ts";
import { Pointer, stability } from "../../../engine/ask/pointer.ts";
import { defaultModelDir } from "../../../engine/paths.ts";

interface Golden {
  readonly features: readonly (readonly number[])[];
  readonly query: readonly number[];
  /** "None" first. */
  readonly probabilities: readonly number[];
  readonly stability: number;
}

const golden: Golden[] = JSON.parse(readFileSync(join(defaultModelDir, "pointer-golden.json"), "utf8"));
const unit = { span: 0, startLine: 1, endLine: 1, text: "" };

function candidates(features: readonly (readonly number[])[], query: readonly number[]): Candidates {
  return {
    units: features.map(() => unit),
    features: Float32Array.from(features.flat()),
    query: Float32Array.from(query),
  };
}

test("points where the head that was trained points", () => {
  for (const { features, query, probabilities, stability: firmness } of golden) {
    const pointed = Pointer.open().point(candidates(features, query));
    const all = [pointed.none, ...pointed.probabilities];
    for (const [i, p] of all.entries()) {
      assert.ok(Math.abs(p - probabilities[i]) < 1e-4, `${i}: ${p} ${probabilities[i]}`);
    }
    // Logarithms of probabilities are the scores less a constant.
    assert.ok(Math.abs(stability(all.map(Math.log)) - firmness) < 1e-2 * Math.max(1, firmness));
  }
});

test("knows no order", () => {
  const { features, query } = golden[2];
  const straight = Pointer.open().point(candidates(features, query)).probabilities;
  const turned = Pointer.open().point(candidates(features.toReversed(), query)).probabilities;
  for (const [i, p] of turned.toReversed().entries()) assert.ok(Math.abs(p - straight[i]) < 1e-5);
});

test("the probabilities of any number of candidates and of none of them make one", () => {
  for (const n of [0, 1, 3, 300]) {
    const features = Array.from({ length: n }, (_, i) =>
      Array.from({ length: UNIT_FEATURES }, (_, k) => ((i * k) % 7) / 7),
    );
    const { none, probabilities } = Pointer.open().point(candidates(features, golden[0].query));
    assert.ok(Math.abs(probabilities.reduce((sum, p) => sum + p, none) - 1) < 1e-5);
  }
});

test("a choice is as firm as its margin, over the root of two, in deviations of the scores", () => {
  assert.ok(Math.abs(stability([1, 3, -1]) - Math.SQRT2 / Math.sqrt(8 / 3)) < 1e-12);
  assert.equal(stability([2, 2, 0]), 0);
});

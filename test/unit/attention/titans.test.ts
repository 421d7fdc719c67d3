import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Learned, type Lesson, learnChunk, recall } from "../../../engine/attention/titans.ts";
import { randomNumbers } from "../../eval/memory.ts";

const M = 6;

function lesson(n: number, seed: number, most = { theta: 0.05, eta: 0.9, alpha: 0.1 }): Lesson {
  const next = randomNumbers(seed);
  const numbers = (size: number, scale: number) => Float32Array.from({ length: size }, () => scale * next());
  const keys = numbers(n * M, 1).map((x) => x - 0.5);
  for (let t = 0; t < n; t++) {
    const row = keys.subarray(t * M, (t + 1) * M);
    const length = Math.hypot(...row);
    for (let i = 0; i < M; i++) row[i] /= length;
  }
  const values = numbers(n * M, 2);
  return { keys, values, theta: numbers(n, most.theta), eta: numbers(n, most.eta), alpha: numbers(n, most.alpha) };
}

const begun = (): Learned => {
  const next = randomNumbers(9);
  const matrix = () => Float32Array.from({ length: M * M }, () => next() - 0.5);
  return { matrix: matrix(), surprise: matrix() };
};

/** The definition: one token after another, gradients taken at the matrix before the chunk. */
function byDefinition({ matrix, surprise }: Learned, { keys, values, theta, eta, alpha }: Lesson): number[][] {
  let [w, s] = [Array.from(matrix), Array.from(surprise)];
  const frozen = w;
  for (const [t, step] of theta.entries()) {
    const gradient = (at: number) => {
      const [row, column] = [Math.floor(at / M), at % M];
      let recalled = 0;
      for (let j = 0; j < M; j++) recalled += frozen[row * M + j] * keys[t * M + j];
      return 2 * (recalled - values[t * M + row]) * keys[t * M + column];
    };
    s = s.map((x, at) => eta[t] * x - step * gradient(at));
    w = w.map((x, at) => (1 - alpha[t]) * x + s[at]);
  }
  return [w, s];
}

function assertClose(actual: Float32Array, expected: readonly number[], within = 1e-5): void {
  assert.equal(actual.length, expected.length);
  for (const [i, x] of expected.entries()) assert.ok(Math.abs(actual[i] - x) < within, `${i}: ${actual[i]}, not ${x}`);
}

suite("a memory trained while reading", () => {
  test("a chunk teaches what its tokens teach one after another, by the definition", () => {
    for (const n of [1, 2, 7, 64]) {
      const learned = begun();
      const [matrix, surprise] = byDefinition(learned, lesson(n, n));
      learnChunk(learned, lesson(n, n));
      assertClose(learned.matrix, matrix);
      assertClose(learned.surprise, surprise);
    }
  });

  test("without momentum and forgetting, token by token, it is the delta rule", () => {
    const all = lesson(20, 3, { theta: 0, eta: 0, alpha: 0 });
    const learned = { ...begun(), surprise: new Float32Array(M * M) };
    const expected = Array.from(learned.matrix);
    const beta = 0.3;
    for (let t = 0; t < 20; t++) {
      const key = all.keys.slice(t * M, (t + 1) * M);
      const value = all.values.slice(t * M, (t + 1) * M);
      const recalled = recall(Float32Array.from(expected), key);
      for (let i = 0; i < M * M; i++) {
        expected[i] += beta * (value[Math.floor(i / M)] - recalled[Math.floor(i / M)]) * key[i % M];
      }
      const one = (x: number) => Float32Array.of(x);
      learnChunk(learned, { keys: key, values: value, theta: one(beta / 2), eta: one(0), alpha: one(0) });
    }
    assertClose(learned.matrix, expected);
  });

  test("what is not used fades", () => {
    const learned = { ...begun(), surprise: new Float32Array(M * M) };
    const expected = Array.from(learned.matrix, (x) => x * 0.98 ** 30);
    const still = lesson(30, 4, { theta: 0, eta: 0, alpha: 0 });
    learnChunk(learned, { ...still, alpha: new Float32Array(30).fill(0.02) });
    assertClose(learned.matrix, expected);
  });

  test("the same token a thousand times is learned, not blown up", () => {
    const { keys, values } = lesson(1, 5);
    const n = 64;
    const repeated = (row: Float32Array) => Float32Array.from({ length: n * M }, (_, i) => row[i % M]);
    for (const eta of [0, 0.5]) {
      const learned = { matrix: new Float32Array(M * M), surprise: new Float32Array(M * M) };
      const same = {
        ...{ keys: repeated(keys), values: repeated(values), alpha: new Float32Array(n) },
        ...{ theta: new Float32Array(n).fill((0.95 * (1 - eta)) / n), eta: new Float32Array(n).fill(eta) },
      };
      for (let chunk = 0; chunk < 300; chunk++) learnChunk(learned, same);
      // Every step overshoots by nearly as much as was wrong: what is left is rounding.
      assertClose(recall(learned.matrix, keys), Array.from(values), 1e-4);
    }
  });
});

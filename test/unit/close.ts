/** Comparing lists of numbers. */
import assert from "node:assert/strict";

type Numbers = ArrayLike<number>;

/** Fails unless the numbers differ by at most `tolerance`. */
export function assertClose(actual: Numbers, expected: Numbers, tolerance: number, what: string): void {
  assert.equal(actual.length, expected.length, `${what}: length`);
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i] - expected[i]);
    worst = difference > worst || Number.isNaN(difference) ? difference : worst;
  }
  assert.ok(worst <= tolerance, `${what} differs by ${worst}`);
}

/** The length of the difference over the length of `expected`. */
export function relativeError(actual: Numbers, expected: Numbers): number {
  let difference = 0;
  let length = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i] - expected[i]) ** 2;
    length += expected[i] ** 2;
  }
  return Math.sqrt(difference / length);
}

/** The index of the largest number. */
export function argmax(values: Numbers): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

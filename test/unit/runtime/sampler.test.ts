import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LongsightError } from "../../../engine/errors.ts";
import { Sampler, type SamplingOptions } from "../../../engine/runtime/sampler.ts";
import { argmax } from "../close.ts";

const logitsOf = (probabilities: readonly number[]) => Float32Array.from(probabilities, Math.log);

/** How often each token is drawn. */
function counts(logits: Float32Array, options: SamplingOptions, n = 4000, ids: readonly number[] = []): number[] {
  const sampler = new Sampler({ temperature: 1, seed: 1, ...options });
  const drawn = new Array<number>(logits.length).fill(0);
  for (let i = 0; i < n; i++) drawn[sampler.next(logits, ids)]++;
  return drawn;
}

/** The tokens drawn at least once. */
const support = (drawn: readonly number[]) => drawn.flatMap((count, id) => (count > 0 ? [id] : []));

const logits = fc
  .array(fc.integer({ min: -80, max: 80 }), { minLength: 1, maxLength: 40 })
  .map((values) => Float32Array.from(values, (value) => value / 4));
const seed = fc.nat();

test("without a temperature, with a tiny one or with topK 1 the likeliest token is taken", () => {
  fc.assert(
    fc.property(logits, seed, (values, seed) => {
      const best = argmax(values);
      assert.equal(new Sampler().next(values, []), best);
      assert.equal(new Sampler({ temperature: 2, topK: 1, seed }).next(values, []), best);
      const drawn = new Sampler({ temperature: 1e-9, seed }).next(values, []);
      assert.equal(values[drawn], values[best]);
    }),
  );
});

test("tokens are drawn as often as they are likely", () => {
  const drawn = counts(logitsOf([0.5, 0.3, 0.15, 0.05]), {});
  [2000, 1200, 600, 200].forEach((expected, id) => {
    assert.ok(Math.abs(drawn[id] - expected) < 150, `token ${id}: ${drawn[id]}`);
  });
  // Temperature 0.5 squares probabilities, 2 takes their roots.
  assert.ok(counts(logitsOf([0.8, 0.2]), { temperature: 0.5 })[1] < 4000 * (0.04 / 0.68 + 0.02));
  assert.ok(counts(logitsOf([0.8, 0.2]), { temperature: 2 })[1] > 4000 * (1 / 3 - 0.03));
});

test("topK, topP and minP leave out what they should, and nothing else", () => {
  const probabilities = [0.05, 0.4, 0.15, 0.3, 0.1];
  const cases: [SamplingOptions, number[]][] = [
    [{ topK: 2 }, [1, 3]],
    [{ topK: 50 }, [0, 1, 2, 3, 4]],
    [{ topP: 0.39 }, [1]],
    [{ topP: 0.6 }, [1, 3]],
    [{ topP: 0.8 }, [1, 2, 3]],
    [{ topP: 1 }, [0, 1, 2, 3, 4]],
    [{ minP: 0.3 }, [1, 2, 3]],
    [{ minP: 1 }, [1]],
    [{ minP: 0.3, topK: 2 }, [1, 3]],
    [{ minP: 0.7, topP: 0.9 }, [1, 3]],
  ];
  for (const [options, expected] of cases) {
    assert.deepEqual(support(counts(logitsOf(probabilities), options)), expected, JSON.stringify(options));
  }
});

test("limits far down a flat distribution of many tokens are exact", () => {
  const flat = new Float32Array(5000);
  assert.deepEqual(
    support(counts(flat, { topK: 3 })).every((id) => id < 3),
    true,
  );
  // One likely token and many that share the rest: the threshold has to sink below 1e-6 of the likeliest.
  const peaked = Float32Array.from({ length: 5000 }, (_, id) => (id === 7 ? 16 : 0));
  const tail = counts(peaked, { topK: 4000, temperature: 4 });
  assert.ok(support(tail).every((id) => id === 7 || id < 4000));
  assert.ok(support(tail).length > 1000);
});

test("the same seed gives the same choices, another seed others", () => {
  const values = new Float32Array(1000);
  const draw = (options: SamplingOptions) => {
    const sampler = new Sampler({ temperature: 1, ...options });
    return Array.from({ length: 20 }, () => sampler.next(values, []));
  };
  assert.deepEqual(draw({ seed: 5 }), draw({ seed: 5 }));
  assert.notDeepEqual(draw({ seed: 5 }), draw({ seed: 6 }));
  assert.notDeepEqual(draw({ seed: 5 }), draw({ seed: 5 + 2 ** 32 }));
  assert.notDeepEqual(draw({}), draw({}));
});

test("the repetition penalty makes recent tokens less likely, whatever their sign", () => {
  assert.equal(new Sampler({ repetitionPenalty: 2 }).next(Float32Array.of(3, 2, 1), [0]), 1);
  assert.equal(new Sampler({ repetitionPenalty: 2 }).next(Float32Array.of(-1, -1.5, -4), [0]), 1);
  assert.equal(new Sampler({ repetitionPenalty: 2 }).next(Float32Array.of(3, 2, 1), [0, ...Array(64).fill(2)]), 0);
  const values = Float32Array.of(3, 2, 1);
  new Sampler({ repetitionPenalty: 2 }).next(values, [0]);
  assert.deepEqual([...values], [3, 2, 1]);
});

test("settings out of range and logits that are no numbers are refused in one sentence", () => {
  const wrong: SamplingOptions[] = [
    ...[{ temperature: -1 }, { temperature: Number.NaN }, { topK: 0 }, { topK: 1.5 }, { topP: 0 }, { topP: 1.1 }],
    ...[{ minP: -0.1 }, { minP: 2 }, { repetitionPenalty: 0 }, { seed: -1 }, { seed: 0.5 }],
  ];
  for (const options of wrong) {
    const [name] = Object.keys(options);
    assert.throws(
      () => new Sampler(options),
      (error: unknown) =>
        error instanceof LongsightError && error.code === "bad-input" && error.message.includes(` ${name} `),
      JSON.stringify(options),
    );
  }
  assert.throws(() => new Sampler().next(Float32Array.of(Number.NaN), []), { code: "bad-model" });
  assert.throws(() => new Sampler().next(Float32Array.of(0, Number.POSITIVE_INFINITY), []), { code: "bad-model" });
});

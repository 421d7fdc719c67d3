import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { LongsightError } from "../../engine/errors.ts";
import { type HybridModel, openHybrid } from "../../engine/models/hybrid.ts";
import { HybridReference } from "../../engine/reference-hybrid.ts";
import { HybridDecoder, type MemoryTokens } from "../../engine/runtime/hybrid.ts";
import { HybridState } from "../../engine/runtime/hybrid-state.ts";
import { assertClose } from "../unit/close.ts";
import { fixture } from "../unit/hybrid-golden.ts";

let model: HybridModel;
let decoder: HybridDecoder;
before(async () => {
  model = openHybrid(fixture.folder);
  decoder = await HybridDecoder.open(model, { nThreads: 1, accuracy: "float" });
});
after(() => decoder.close());

/** Texts up to three runs long, cut anywhere: the fixture's window is 24 tokens, a run has at most 256. */
const ids = (maxLength: number) => fc.array(fc.integer({ min: 0, max: 159 }), { minLength: 1, maxLength });
const cuts = fc.array(
  fc.integer({ min: 0, max: 100 }).map((percent) => percent / 100),
  { maxLength: 5 },
);

const memory: fc.Arbitrary<MemoryTokens> = fc.integer({ min: 0, max: 40 }).chain((n) => {
  const floats = fc.array(fc.double({ min: -2, max: 2, noNaN: true }), { minLength: 16 * n, maxLength: 16 * n });
  return fc.record({
    keys: floats.map((values) => Float32Array.from(values)),
    values: floats.map((values) => Float32Array.from(values)),
    classes: fc.array(fc.integer({ min: 0, max: 4 }), { minLength: n, maxLength: n }).map((c) => Uint8Array.from(c)),
  });
});

/** Reads a text in pieces that end at the given fractions of its length. */
async function readInPieces(text: readonly number[], fractions: readonly number[], seen?: MemoryTokens) {
  const state = decoder.start();
  const borders = [...new Set([...fractions.map((f) => Math.round(f * text.length)), 0, text.length])];
  borders.sort((a, b) => a - b);
  let logits = new Float32Array();
  for (let i = 1; i < borders.length; i++) {
    const result = await decoder.read(state, text.slice(borders[i - 1], borders[i]), { memory: seen });
    logits = result.logits.slice();
  }
  return { state, logits };
}

test("any split of a text into calls gives the same logits and the same state", async () => {
  await fc.assert(
    fc.asyncProperty(ids(600), cuts, memory, async (text, fractions, seen) => {
      const whole = await readInPieces(text, [], seen);
      const pieces = await readInPieces(text, fractions, seen);
      assertClose(pieces.logits, whole.logits, 1e-4, "logits");
      assertClose(pieces.state.save(), whole.state.save(), 1e-4, "state");
    }),
    { numRuns: 40 },
  );
});

test("the compiled model equals the reference", async () => {
  await fc.assert(
    fc.asyncProperty(ids(90), cuts, memory, async (text, fractions, seen) => {
      const rows = (flat: Float32Array) =>
        Array.from(seen.classes, (_, i) => Float64Array.from(flat.subarray(16 * i, 16 * (i + 1))));
      const reference = new HybridReference(model.config, model.weights, {
        keys: rows(seen.keys),
        values: rows(seen.values),
        classes: [...seen.classes],
      });
      const { logits } = await readInPieces(text, fractions, seen);
      assertClose(logits, reference.read(text), 1e-4, "logits");
    }),
    { numRuns: 15 },
  );
});

test("a fork and a restored save go on like the original, and leave it alone", async () => {
  await fc.assert(
    fc.asyncProperty(ids(80), ids(40), ids(40), async (text, one, other) => {
      const state = decoder.start();
      await decoder.read(state, text);
      const saved = state.save();
      const fork = state.fork();
      await decoder.read(fork, other);
      assert.deepEqual(state.save(), saved);
      const restored = HybridState.restore(model.config, "decoder", saved);
      const expected = (await decoder.read(state, one)).logits.slice();
      assert.deepEqual((await decoder.read(restored, one)).logits, expected);
      assert.deepEqual(restored.save(), state.save());
    }),
    { numRuns: 15 },
  );
});

test("what cannot be read is refused and leaves the state alone", async () => {
  const state = decoder.start();
  await decoder.read(state, [70, 71]);
  const saved = state.save();
  const aborted = { signal: AbortSignal.abort() };
  await assert.rejects(decoder.read(state, []), LongsightError);
  await assert.rejects(decoder.read(state, [70, 160]), { code: "bad-input" });
  await assert.rejects(decoder.read(state, [70, 1.5]), { code: "bad-input" });
  await assert.rejects(decoder.read(state, [70], aborted), { code: "cancelled" });
  const short = { keys: new Float32Array(16), values: new Float32Array(0), classes: new Uint8Array(1) };
  await assert.rejects(decoder.read(state, [70], { memory: short }));
  assert.deepEqual(state.save(), saved);
  assert.throws(() => HybridState.restore(model.config, "decoder", saved.slice(1)), { code: "bad-input" });
});

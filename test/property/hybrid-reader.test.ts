import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { openHybrid } from "../../engine/models/hybrid.ts";
import { HybridDecoder } from "../../engine/runtime/hybrid.ts";
import { HybridReader } from "../../engine/runtime/hybrid-reader.ts";
import type { RoutedMemory } from "../../engine/runtime/hybrid-routing.ts";
import { assertClose } from "../unit/close.ts";
import { fixture } from "../unit/hybrid-golden.ts";

let decoder: HybridDecoder;
before(async () => {
  decoder = await HybridDecoder.open(openHybrid(fixture.folder), { nThreads: 1, accuracy: "float" });
});
after(() => decoder.close());

const ids = (maxLength: number) =>
  fc.array(fc.integer({ min: 64, max: 159 }), { minLength: 1, maxLength, size: "max" });
/** An edit: keep this share of the text, then go on with these ids, guessing some more; maybe cancelled, maybe memory is seen. */
const edit = fc.record({
  keep: fc.integer({ min: 0, max: 100 }).map((percent) => percent / 100),
  more: ids(300),
  draft: fc.oneof(fc.constant([]), ids(12)),
  /** How much of the guess is right. */
  nRight: fc.nat(12),
  cancelled: fc.boolean(),
  remembers: fc.boolean(),
});

/** A memory of a few tokens that are chosen whatever is asked; every choice is a new array, as real ones are. */
function smallMemory(headSize: number): RoutedMemory {
  const chosen = new WeakSet<object>();
  const noise = (seed: number) => Float32Array.from({ length: 5 * headSize }, (_, i) => Math.sin(seed + 12.9898 * i));
  return {
    select: ({ query, heads, tokens: named }) => {
      assert.ok(heads.length > 0 && heads.every(({ length }) => length === decoder.config.hiddenSize));
      assert.ok(named.length > 0);
      assert.ok(Math.abs(Math.hypot(...query) - 1) < 1e-5);
      const tokens = { keys: noise(1), values: noise(2), classes: Uint8Array.of(0, 1, 2, 3, 4) };
      chosen.add(tokens);
      return tokens;
    },
    attended: (tokens, weights) => {
      assert.ok(chosen.has(tokens));
      assert.equal(weights.length, decoder.config.nHeads * 5);
      for (let head = 0; head < decoder.config.nHeads; head++) {
        const sum = weights.subarray(head * 5, head * 5 + 5).reduce((a, b) => a + b, 0);
        assert.ok(sum > 0 && sum < 1, `${sum}`);
      }
    },
  };
}

test("a reader that goes back and forth in a text and guesses ahead gives the same logits as one that reads it anew", async () => {
  await fc.assert(
    fc.asyncProperty(ids(600), fc.array(edit, { maxLength: 6 }), async (start, edits) => {
      const reader = new HybridReader(decoder);
      const routed = smallMemory(decoder.config.headSize);
      const all = routed.select({
        query: Float32Array.of(1),
        heads: [new Float32Array(decoder.config.hiddenSize)],
        tokens: [1],
      });
      let text = start;
      const first = { keep: 1, more: [], draft: [], nRight: 0, cancelled: false, remembers: false };
      for (const { keep, more, draft, nRight, cancelled, remembers } of [first, ...edits]) {
        const memory = remembers ? routed : undefined;
        text = [...text.slice(0, Math.round(keep * text.length)), ...more];
        if (cancelled) await reader.readText(text, { signal: AbortSignal.abort(), memory }).catch(() => {});
        const rows = (await reader.readDraft(text, draft, { memory })).map((row) => row.slice());
        assert.equal(rows.length, 1 + draft.length);
        for (const n of new Set([0, draft.length])) {
          const guessed = [...text, ...draft.slice(0, n)];
          const fresh = await decoder.read(decoder.start(), guessed, { memory: remembers ? all : undefined });
          assertClose(rows[n], fresh.logits, 1e-4, `logits behind ${n} guessed tokens`);
        }
        text = [...text, ...draft.slice(0, nRight)];
      }
    }),
    { numRuns: 25 },
  );
});

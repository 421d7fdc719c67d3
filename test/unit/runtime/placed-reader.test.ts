import assert from "node:assert/strict";
import { test } from "node:test";
import type { DecoderReader } from "../../../engine/runtime/decoder-reader.ts";
import { PlacedReader } from "../../../engine/runtime/placed-reader.ts";
import type { ReadTextOptions } from "../../../engine/runtime/reader.ts";

const placed = { at: 2, nTokens: 100, rows: [] };

/** A reader over a model whose layer `tells` its queries or does not. */
function placedReader(tells: boolean) {
  const looks: number[] = [];
  const asked: (ReadTextOptions | undefined)[] = [];
  const reader = {
    contextLength: 500,
    readText: async (_: readonly number[], options?: ReadTextOptions) => {
      asked.push(options);
      return new Float32Array(1);
    },
  } as Partial<DecoderReader> as DecoderReader;
  const decoder = {
    queriesOf: () => new Float32Array(tells ? 4 : 0),
    attentionOf: (layer: number, first: number, n: number, total: number) => {
      assert.deepEqual([layer, first, n], [3, 2, 100]);
      looks.push(total);
      return new Float32Array(n);
    },
  };
  return { looks, asked, reader: new PlacedReader(reader, decoder, placed, { layer: 3, onLook: () => {} }) };
}

const text = (n: number) => Array.from({ length: n }, (_, i) => i);

test("what is placed takes its share of the context and is given with every text", async () => {
  const { reader, asked } = placedReader(true);
  assert.equal(reader.contextLength, 400);
  const signal = AbortSignal.abort();
  await reader.readText(text(5), { signal });
  assert.deepEqual(asked, [{ signal, placed }]);
});

test("attention is looked at behind single tokens only, the first and every eighth, where the model tells it", async () => {
  const { reader, looks } = placedReader(true);
  for (let n = 10; n <= 30; n++) await reader.readText(text(n));
  // Texts of 11, 19 and 27 tokens, behind what is placed.
  assert.deepEqual(looks, [111, 119, 127]);
  const mute = placedReader(false);
  for (let n = 10; n <= 30; n++) await mute.reader.readText(text(n));
  assert.deepEqual(mute.looks, []);
});

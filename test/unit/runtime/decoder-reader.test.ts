import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type AttentionPlan, exactPlan, type HeadRole } from "../../../engine/attention/plan.ts";
import type { DecoderConfig } from "../../../engine/models/types.ts";
import { DecoderReader } from "../../../engine/runtime/decoder-reader.ts";
import { assertClose } from "../close.ts";
import { decoderFixtures, decoderForTest, openForTest } from "../decoder-golden.ts";

const qwen3 = decoderFixtures.find(({ name }) => name === "qwen3")!;

const ids = (maxLength: number) => fc.array(fc.integer({ min: 0, max: 127 }), { minLength: 1, maxLength, size: "max" });
/** An edit: keep this share of the text, then go on with these ids, guessing some more; maybe the call is cancelled. */
const edit = fc.record({
  keep: fc.integer({ min: 0, max: 100 }).map((percent) => percent / 100),
  more: ids(60),
  draft: fc.oneof(fc.constant([]), ids(12)),
  cancelled: fc.boolean(),
});

/** Every token, and heads that forget: half of them see 3 first and 7 last tokens. */
const PLANS: Record<string, (config: DecoderConfig) => AttentionPlan> = {
  exact: exactPlan,
  streaming: (config) => {
    const plan = exactPlan(config);
    const heads = Array.from({ length: config.nKvHeads }, (_, i): HeadRole => (i === 0 ? "streaming" : "retrieval"));
    return { ...plan, sinks: 3, window: 7, layers: plan.layers.map((layer) => ({ ...layer, heads })) };
  },
};

for (const [name, preset] of Object.entries(PLANS)) {
  test(`${name}: a reader that goes back and forth in a text gives the same logits as reading it anew`, async () => {
    const model = await openForTest(qwen3.path);
    const config = { ...model.config, contextLength: 600 };
    const plan = preset(model.config);
    const [decoder, other] = [await decoderForTest(model, { plan }), await decoderForTest(model, { plan })];
    await fc.assert(
      fc.asyncProperty(ids(540), fc.array(edit, { maxLength: 5 }), async (start, edits) => {
        const reader = new DecoderReader(decoder, config);
        let text = start;
        for (const { keep, more, cancelled } of [{ keep: 1, more: [], cancelled: false }, ...edits]) {
          text = [...text.slice(0, Math.min(Math.round(keep * text.length), 540)), ...more];
          if (cancelled) await reader.readText(text, { signal: AbortSignal.abort() }).catch(() => {});
          const logits = (await reader.readText(text)).slice();
          assertClose(logits, await other.run(text, 0, [text.length - 1]), 1e-4, "logits");
        }
      }),
      // Without its bias towards short texts, which forget nothing.
      { numRuns: 20, unbiased: true, endOnFailure: true },
    );
  });
}

/** Records the runs that a reader asks for. */
function recorder() {
  const runs: [nPast: number, n: number, nRows: number][] = [];
  const decoder = {
    holds: () => true,
    place: () => {},
    run: async (ids: readonly number[], nPast: number, rows: readonly number[]) => {
      runs.push([nPast, ids.length, rows.length]);
      return new Float32Array(1);
    },
  };
  return { runs, decoder };
}

const range = (n: number) => Array.from({ length: n }, (_, i) => i);
const shape = { contextLength: 1000, vocabSize: 1000 };

test("only what is new is read, in runs of bounded length, and logits are asked for once", async () => {
  const { runs, decoder } = recorder();
  const reader = new DecoderReader(decoder, shape);
  await reader.readText(range(600));
  await reader.readText(range(601));
  await reader.readText([...range(400), 7, 8]);
  await reader.readText([...range(400), 7, 8]);
  assert.deepEqual(runs, [[0, 128, 0], [128, 128, 0], [256, 128, 0], [384, 128, 0], [512, 88, 1], [600, 1, 1], [400, 2, 1], [401, 1, 1]]); // biome-ignore format: one row
});

test("all logits of a draft come from one run, even of one longer than others", async () => {
  const { runs, decoder } = recorder();
  const reader = new DecoderReader(decoder, shape);
  await reader.readDraft(range(200), range(5));
  await reader.readDraft(range(200), range(300));
  assert.deepEqual(runs, [[0, 128, 0], [128, 77, 6], [199, 301, 301]]); // biome-ignore format: one row
});

test("cancelling takes effect between two runs, and the next call goes on from there", async () => {
  const { runs, decoder } = recorder();
  const cancel = new AbortController();
  const cancelling = {
    ...decoder,
    run: (...args: Parameters<typeof decoder.run>) => {
      if (runs.length === 1) cancel.abort();
      return decoder.run(...args);
    },
  };
  const reader = new DecoderReader(cancelling, shape);
  await assert.rejects(reader.readText(range(900), { signal: cancel.signal }), { code: "cancelled" });
  assert.equal(runs.length, 2);
  await reader.readText(range(900));
  assert.deepEqual(runs.slice(2, 4), [[256, 128, 0], [384, 128, 0]]); // biome-ignore format: one row
});

test("a failed run does not leave its tokens behind", async () => {
  const { runs, decoder } = recorder();
  let fails = false;
  const reader = new DecoderReader(
    { ...decoder, run: (...args) => (fails ? Promise.reject(new Error("out of memory")) : decoder.run(...args)) },
    shape,
  );
  await reader.readText(range(10));
  fails = true;
  await assert.rejects(reader.readText([...range(5), 77, 78, 79]), /out of memory/);
  fails = false;
  await reader.readText(range(10));
  assert.deepEqual(runs.at(-1), [5, 5, 1]);
});

test("ids outside the vocabulary, empty and overlong texts are refused in one sentence", async () => {
  const { runs, decoder } = recorder();
  const reader = new DecoderReader(decoder, shape);
  for (const wrong of [[1000], [-1], [0.5], [1, Number.NaN], [], range(1001)]) {
    await assert.rejects(reader.readText(wrong), { name: "LongsightError", code: "bad-input" });
  }
  assert.deepEqual(runs, []);
});

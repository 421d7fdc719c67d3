import assert from "node:assert/strict";
import { test } from "node:test";
import { openHybrid } from "../../../engine/models/hybrid.ts";
import { MEMORY_CLASSES } from "../../../engine/models/hybrid-config.ts";
import { HybridReference } from "../../../engine/reference-hybrid.ts";
import { HybridDecoder } from "../../../engine/runtime/hybrid.ts";
import { HybridEncoder } from "../../../engine/runtime/hybrid-encoder.ts";
import { memoryTokens, quantiseRows } from "../../../engine/runtime/hybrid-memory.ts";
import { assertClose } from "../close.ts";
import { bytesTokenizer } from "../complete/bytes-tokenizer.ts";
import { fixture, goldenModels } from "../hybrid-golden.ts";

const options = { nThreads: 1, accuracy: "float" } as const;
/** Ids 64 and up; the fixture's vocabulary ends at 160, so texts here use low characters only. */
const tokenizer = bytesTokenizer(Array.from({ length: 64 }, (_, i) => `<${i}>`));

for (const { name, folder, skip, cases } of goldenModels) {
  test(`${name}: landmarks equal the training code, and int8 memory hardly changes logits`, { skip }, async () => {
    const model = openHybrid(folder);
    const { config } = model;
    const encoder = await HybridEncoder.open(model, tokenizer, options);
    const decoder = await HybridDecoder.open(model, options);
    const withMemory = cases().filter(({ memory }) => memory !== undefined);
    assert.ok(withMemory.length > 0);
    for (const { ids, logits, memory } of withMemory) {
      const landmarks: number[] = [];
      const blocks = [];
      for (const file of memory?.files ?? []) {
        const encoded = await encoder.encode(file.ids);
        landmarks.push(...encoded.landmarks());
        const memoryClass = MEMORY_CLASSES.indexOf(file.class);
        blocks.unshift({ tokens: encoded.stored(), start: 0, end: file.ids.length, class: memoryClass });
      }
      assertClose(landmarks, (memory?.landmarks ?? []).flat(), 1e-4, "landmarks");
      const read = await decoder.read(decoder.start(), ids, { memory: memoryTokens(blocks, config.headSize) });
      const range = Math.max(...logits) - Math.min(...logits);
      assertClose(read.logits, logits, 0.01 * range, "logits with int8 memory");
    }
    await encoder.close();
    await decoder.close();
  });
}

test("a text longer than a run, and a question and a span, equal the reference", async () => {
  const model = openHybrid(fixture.folder);
  const { config, weights } = model;
  const encoder = await HybridEncoder.open(model, tokenizer, options);
  const { doc, ask, file } = config.specialTokens;

  const long = Array.from({ length: 300 }, (_, i) => 64 + ((i * 37) % 96));
  const reference = new HybridReference(config, weights);
  reference.read(long);
  const encoded = await encoder.encode(long);
  assert.equal(encoded.nTokens, 300);
  const stored = encoded.stored();
  for (const what of ["keys", "values"] as const) {
    const { values, scales } = stored[what];
    const rows = Array.from(values, (value, at) => value * scales[Math.floor(at / config.headSize)]);
    const exact = reference.memory[what].flatMap((row) => [...row]);
    const worst = rows.reduce((max, x, at) => Math.max(max, Math.abs(x - exact[at])), 0);
    assert.ok(worst < 0.01 * Math.max(...exact), `${what}: ${worst}`);
  }
  assertClose(
    encoded.landmarks(),
    reference.memory.landmarks.flatMap((l) => [...l]),
    1e-4,
    "landmarks",
  );

  const words = new HybridReference(config, weights);
  words.read([doc, ...tokenizer.encode(" WHAT NOW?"), ask]);
  assertClose(await encoder.embedQuestion(" WHAT\n NOW? "), words.query(config.landmarkLayer, 1), 1e-4, "question");

  // Spans of different lengths in more than one batch.
  const spans = Array.from({ length: 20 }, (_, i) => ({ path: "A/B.C", text: `X = ${"1".repeat(i * 7)};\r\nY` }));
  for (const [i, landmark] of (await encoder.embedSpans(spans)).entries()) {
    const code = spans[i].text.replace("\r", "");
    const whole = await encoder.encode(
      [file, ...tokenizer.encode("A/B.C"), ...tokenizer.encode(`\n${code}`)].slice(0, 96),
    );
    assertClose(landmark, whole.landmark(6, whole.nTokens), 1e-5, `span ${i}`);
  }
  assert.deepEqual(await encoder.embedSpans([]), []);
  await assert.rejects(encoder.embedSpans(spans, AbortSignal.abort()), { code: "cancelled" });
  assert.deepEqual(encoder.fileIds("A", "X\r\nY"), [file, ...tokenizer.encode("A"), ...tokenizer.encode("\nX\nY"), 1]);
  await assert.rejects(encoder.encode([]), { code: "bad-input" });
  await assert.rejects(encoder.encode([160]), { code: "bad-input" });
  await assert.rejects(encoder.encode([70], AbortSignal.abort()), { code: "cancelled" });
  await encoder.close();
});

test("int8 rows differ from the floats by at most half a step, and zeros stay zeros", () => {
  const x = Float32Array.of(1, -0.5, 0.001, 127, 0, 0, 0, 0);
  const { values, scales } = quantiseRows(x, 4);
  for (const [i, value] of x.entries()) {
    const scale = scales[Math.floor(i / 4)];
    assert.ok(Math.abs(values[i] * scale - value) <= 0.5 * scale + 1e-3 * Math.abs(value), `${i}`);
  }
});

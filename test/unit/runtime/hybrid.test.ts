import assert from "node:assert/strict";
import { test } from "node:test";
import { openHybrid } from "../../../engine/models/hybrid.ts";
import { MEMORY_CLASSES } from "../../../engine/models/hybrid-config.ts";
import { expanded } from "../../../engine/models/quantise.ts";
import { HybridReference } from "../../../engine/reference-hybrid.ts";
import { groupQuery, HybridDecoder, type MemoryTokens } from "../../../engine/runtime/hybrid.ts";
import { argmax, assertClose } from "../close.ts";
import { fixture, type GoldenMemory, goldenModels, shipped } from "../hybrid-golden.ts";

const options = { nThreads: 1, accuracy: "float" } as const;

function softmax(logits: Float32Array): Float64Array {
  const peak = Math.max(...logits);
  const exps = Float64Array.from(logits, (logit) => Math.exp(logit - peak));
  const sum = exps.reduce((a, b) => a + b);
  return exps.map((exp) => exp / sum);
}

for (const { name, folder, skip, cases } of goldenModels) {
  test(`${name}: logits, routing queries and greedy text equal the training code`, { skip }, async () => {
    const model = openHybrid(folder);
    const decoder = await HybridDecoder.open(model, options);
    const memoryOf = ({ files }: GoldenMemory): MemoryTokens => {
      const encoded = files.map((file) => {
        const reference = new HybridReference(model.config, model.weights);
        reference.read(file.ids);
        return reference.memory;
      });
      return {
        keys: Float32Array.from(encoded.flatMap((file) => file.keys.flatMap((key) => [...key]))),
        values: Float32Array.from(encoded.flatMap((file) => file.values.flatMap((value) => [...value]))),
        classes: Uint8Array.from(files.flatMap((file) => file.ids.map(() => MEMORY_CLASSES.indexOf(file.class)))),
      };
    };
    for (const golden of cases()) {
      const memory = golden.memory && memoryOf(golden.memory);
      const state = decoder.start();
      const { logits, queries } = await decoder.read(state, golden.ids, { memory });
      assertClose(logits, golden.logits, 1e-3, `${golden.name}: logits`);
      if (golden.memory) {
        const { routeSize, routeGroup } = model.config;
        assertClose(groupQuery(queries, routeSize, routeGroup), golden.memory.query, 1e-4, `${golden.name}: query`);
      }
      const greedy = [argmax(logits)];
      while (greedy.length < golden.greedy.length) {
        const next = await decoder.read(state, [greedy[greedy.length - 1]], { memory });
        greedy.push(argmax(next.logits));
      }
      assert.deepEqual(greedy, golden.greedy, golden.name);
    }
    await decoder.close();
  });
}

test("with inputs rounded to int8 the default model says nearly the same", { skip: shipped.skip }, async () => {
  const model = openHybrid(shipped.folder);
  const exact = await HybridDecoder.open(model, options);
  const rounded = await HybridDecoder.open(model, { nThreads: 1 });
  for (const { name, ids } of shipped.cases()) {
    const shares = async (decoder: HybridDecoder) => softmax((await decoder.read(decoder.start(), ids)).logits);
    const [expected, actual] = [await shares(exact), await shares(rounded)];
    const divergence = expected.reduce((sum, share, id) => sum + share * Math.log2(share / actual[id]), 0);
    // A tenth of a percent of what a token takes, about 4 bits.
    assert.ok(divergence > 0 && divergence < 0.004, `${name}: ${divergence} bits`);
  }
  await Promise.all([exact.close(), rounded.close()]);
});

test("logits are made of the hidden vectors that come with them", async () => {
  const model = openHybrid(fixture.folder);
  const decoder = await HybridDecoder.open(model, options);
  const { logits, hidden } = await decoder.read(decoder.start(), [3, 1, 4, 1, 5], { nRows: 3 });
  const { hiddenSize: d, vocabSize } = model.config;
  const { data } = expanded(model.weights.matrix("token_embd"));
  assert.equal(hidden.length, 3 * d);
  const made = Float32Array.from(logits, (_, at) => {
    const [row, token] = [Math.floor(at / vocabSize), at % vocabSize];
    let sum = 0;
    for (let i = 0; i < d; i++) sum += hidden[row * d + i] * data[token * d + i];
    return sum;
  });
  assertClose(logits, [...made], 1e-4, "logits");
  await decoder.close();
});

test("the rows that are wanted come from one run, however a long text is split", async () => {
  const decoder = await HybridDecoder.open(openHybrid(fixture.folder), options);
  const { vocabSize } = decoder.config;
  const ids = Array.from({ length: 150 }, (_, i) => 64 + ((i * i) % 90));
  const nRows = 40;
  const { logits } = await decoder.read(decoder.start(), ids, { nRows });
  const state = decoder.start();
  await decoder.read(state, ids.slice(0, -nRows));
  for (let row = 0; row < nRows; row++) {
    const one = await decoder.read(state, [ids[ids.length - nRows + row]]);
    assertClose(logits.slice(row * vocabSize, (row + 1) * vocabSize), one.logits, 1e-3, `row ${row}`);
  }
  await decoder.close();
});

test("the tokens that ask memory together are told of together, however a long text is split", async () => {
  const decoder = await HybridDecoder.open(openHybrid(fixture.folder), options);
  const { routeGroup, routeSize } = decoder.config;
  assert.ok(routeGroup > 1);
  const ids = Array.from({ length: 129 }, (_, i) => 64 + ((i * i) % 90));
  const whole = await decoder.read(decoder.start(), ids);
  const state = decoder.start();
  await decoder.read(state, ids.slice(0, -routeGroup));
  const last = await decoder.read(state, ids.slice(-routeGroup));
  assertClose(whole.queries.slice(-routeGroup * routeSize), last.queries, 1e-4, "queries");
  assertClose(whole.heads, last.heads, 1e-4, "heads");
  await decoder.close();
});

test("what heads ask memory for explains the attention they pay it", async () => {
  const model = openHybrid(fixture.folder);
  const { headSize, nHeads, routeGroup } = model.config;
  assert.equal(nHeads, 2);
  const decoder = await HybridDecoder.open(model, options);
  const n = 12;
  const keys = Float32Array.from({ length: n * headSize }, (_, i) => 2 * Math.sin(12.9898 * i));
  const memory = { keys, values: keys, classes: new Uint8Array(n) };
  const ids = Array.from({ length: 30 }, (_, i) => 64 + ((i * i) % 90));
  const { heads, attention } = await decoder.read(decoder.start(), ids, { memory });
  assert.equal(heads.length, routeGroup * nHeads * headSize);
  const newest = heads.subarray(-nHeads * headSize);
  const weight = (head: number, token: number) => {
    let score = 0;
    for (let c = 0; c < headSize; c++) score += newest[head * headSize + c] * keys[token * headSize + c];
    return Math.exp(score);
  };
  // Each head divides by something of its own, which two tokens tell.
  const [[a, b], [c, d]] = [0, 1].map((token) => [weight(0, token), weight(1, token)]);
  const determinant = a * d - b * c;
  const factors = [
    (attention[0] * d - b * attention[1]) / determinant,
    (a * attention[1] - c * attention[0]) / determinant,
  ];
  const expected = Array.from(
    { length: n },
    (_, token) => factors[0] * weight(0, token) + factors[1] * weight(1, token),
  );
  assertClose(attention.subarray(0, n), expected, 1e-3, "attention");
  assert.ok(factors.every((factor) => factor > 0));
  await decoder.close();
});

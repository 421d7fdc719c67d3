import assert from "node:assert/strict";
import { test } from "node:test";
import type { Calibration } from "../../../engine/attention/calibration.ts";
import { balancedPlan, type HeadGates } from "../../../engine/attention/plan.ts";
import type { ModelTokenizer } from "../../../engine/models/tokenizer/tokenizer.ts";
import type { PlacelessRows } from "../../../engine/runtime/decoder.ts";
import { DecoderMemory, type RunState } from "../../../engine/runtime/decoder-memory.ts";
import { DecoderReader } from "../../../engine/runtime/decoder-reader.ts";
import type { StoredTokens } from "../../../engine/runtime/hybrid-memory.ts";
import { argmax, assertClose, relativeError } from "../close.ts";
import { decoderFixtures, decoderForTest, openForTest, storiesModels } from "../decoder-golden.ts";

const textOf = (n: number, seed: number) => Array.from({ length: n }, (_, i) => (i * i * 31 + i * seed + 3) % 128);
/** The fixtures have no tokenizers of their own. */
const none = { vocabSize: 2, token: (id: number) => `${id}` } as Partial<ModelTokenizer> as ModelTokenizer;

/** `gates`: heads below a half stream, which see few tokens so that tests notice. */
async function open(path: string, gates?: HeadGates, calibration?: Calibration) {
  const model = await openForTest(path);
  const { config, weights } = model;
  const plan = { ...balancedPlan(config, gates), ...(gates && { sinks: 8, window: 48 }), calibration };
  const decoder = await decoderForTest(model, { plan });
  const reader = new DecoderReader(decoder, { ...config, contextLength: 4096 });
  const parts = { config: { ...config, contextLength: 4096 }, weights, plan, decoder, reader, tokenizer: none };
  return { ...parts, memory: new DecoderMemory(parts) };
}

async function encoded(memory: DecoderMemory, ids: readonly number[]) {
  const [exact, stored]: [PlacelessRows[], PlacelessRows[]] = [[], []];
  for await (const part of memory.encodeParts(ids)) {
    exact.push(part.rows);
    for (let start = 0; start < part.nTokens; start += 64) {
      stored.push(memory.rows(part.stored(start, Math.min(start + 64, part.nTokens))));
    }
  }
  return { exact, stored };
}

for (const { name, path } of decoderFixtures) {
  test(`${name}: a file in memory before a prompt equals the same text read as a whole`, async () => {
    const { reader, memory } = await open(path);
    const [file, prompt] = [textOf(700, 7), textOf(40, 11)];
    const dense = (await reader.readText([...file, ...prompt])).slice();
    const { exact, stored } = await encoded(memory, file);
    const placed = { at: 0, nTokens: file.length };
    assertClose(await reader.readText(prompt, { placed: { ...placed, rows: exact } }), dense, 1e-3, "logits");
    const rounded = await reader.readText(prompt, { placed: { ...placed, rows: stored } });
    assert.ok(relativeError(rounded, dense) < 0.04, `${relativeError(rounded, dense)}`);
  });
}

test("a file is encoded to the same blocks while the model answers in between, and any length is read", async () => {
  const { reader, memory } = await open(decoderFixtures[0].path);
  const file = textOf(2000, 5);
  const alone = await encoded(memory, file);
  let nRuns = 0;
  const disturbed: typeof alone.exact = [];
  const turn = async <T>(run: () => Promise<T>) => {
    if (nRuns++ % 3 === 1) await reader.readText(textOf(300, nRuns));
    return await run();
  };
  for await (const part of memory.encodeParts(file, { turn })) disturbed.push(part.rows);
  assert.equal(nRuns, 16);
  for (const [i, { keys, values }] of disturbed.entries()) {
    assertClose(Float32Array.from(keys), Float32Array.from(alone.exact[i].keys), 1e-3, `keys of run ${i}`);
    assertClose(Float32Array.from(values), Float32Array.from(alone.exact[i].values), 1e-3, `values of run ${i}`);
  }
});

test("what is stored is the same whether a plan damps sinks and searches for them or not", async () => {
  const path = decoderFixtures[0].path;
  const [file, other] = [textOf(2000, 5), textOf(256, 9)];
  const expected = await encoded((await open(path)).memory, file);
  const { memory, reader } = await open(path, undefined, { keep: 0.1, detect: 1.01, heads: [[0, 1], [0, 1]] }); // biome-ignore format: one row
  assert.equal(memory.fingerprint, (await open(path)).memory.fingerprint);
  const rows = (await encoded(memory, other)).exact.map((part) => ({ ...part, isStart: true }));
  let nRuns = 0;
  // Questions over placed texts, which do damp, in between.
  const turn = async <T>(run: () => Promise<T>) => {
    if (nRuns++ % 3 === 1) await reader.readText(textOf(20, nRuns), { placed: { at: 2, nTokens: 256, rows } });
    return await run();
  };
  let i = 0;
  for await (const part of memory.encodeParts(file, { turn })) {
    const { keys, values } = expected.exact[i++];
    assertClose(Float32Array.from(part.rows.keys), Float32Array.from(keys), 1e-5, `keys of run ${i}`);
    assertClose(Float32Array.from(part.rows.values), Float32Array.from(values), 1e-5, `values of run ${i}`);
  }
  assert.equal(i, 16);
});

/** In each layer the other head streams. */
const SPLIT: HeadGates = [[1, 0], [0, 1]]; // biome-ignore format: one row

test("of a split model only heads that retrieve are stored, and files of any length are encoded the same in any turn", async () => {
  const { memory, reader, decoder } = await open(decoderFixtures[0].path, SPLIT);
  const whole = await open(decoderFixtures[0].path);
  assert.equal(memory.shape.rowsPerToken, whole.memory.shape.rowsPerToken / 2);
  assert.notEqual(memory.fingerprint, whole.memory.fingerprint);
  const file = textOf(2000, 5);
  const alone = await encoded(memory, file);
  // As long as all runs are seen, the file is read as any other text.
  for (let start = 0; start < 1024; start += 128) await decoder.run(file.slice(start, start + 128), start, []);
  reader.lend({});
  const dense = decoder.take(896, 128);
  assertClose(Float32Array.from(alone.exact[7].keys), Float32Array.from(dense.keys), 1e-3, "keys of a run");
  let nRuns = 0;
  const turn = async <T>(run: () => Promise<T>) => {
    if (nRuns++ % 3 === 1) await reader.readText(textOf(300, nRuns));
    return await run();
  };
  let i = 0;
  for await (const { rows } of memory.encodeParts(file, { turn, onState: () => assert.fail("it cannot go on") })) {
    assertClose(Float32Array.from(rows.keys), Float32Array.from(alone.exact[i++].keys), 1e-3, `keys of run ${i}`);
  }
});

test("a text with something placed in it is read once, also where heads stream", async () => {
  const { memory, decoder, config } = await open(decoderFixtures[0].path, SPLIT);
  const { stored } = await encoded(memory, textOf(300, 7));
  const runs: [nPast: number, n: number][] = [];
  const run: typeof decoder.run = (ids, nPast, rows) => {
    runs.push([nPast, ids.length]);
    return decoder.run(ids, nPast, rows);
  };
  const spied = {
    run,
    holds: (nPast: number) => decoder.holds(nPast),
    place: (...args: Parameters<typeof decoder.place>) => decoder.place(...args),
  };
  const reader = new DecoderReader(spied, config);
  const placed = { at: 20, nTokens: 300, rows: stored };
  const text = textOf(50, 11);
  const logits = Float32Array.from(await reader.readText(text, { placed }));
  for (const id of [5, 9]) {
    text.push(id);
    await reader.readText(text, { placed });
  }
  assert.deepEqual(runs, [[0, 20], [320, 30], [350, 1], [351, 1]]); // biome-ignore format: one row
  // Without it the same reader reads another text, and again with it the first one.
  const other = Float32Array.from(await reader.readText(text.slice(0, 50)));
  assert.ok(relativeError(other, logits) > 0.01);
  assertClose(await reader.readText(text.slice(0, 50), { placed }), logits, 1e-3, "logits");
});

test("two files that are encoded in turn do not see each other", async () => {
  const { memory } = await open(decoderFixtures[0].path);
  const files = [textOf(500, 5), textOf(500, 9)];
  const alone = [await encoded(memory, files[0]), await encoded(memory, files[1])];
  const readers = files.map((file) => memory.encodeParts(file));
  for (let i = 0; i < alone[0].exact.length; i++) {
    for (const [k, reader] of readers.entries()) {
      const { value } = await reader.next();
      assertClose(Float32Array.from(value!.rows.keys), Float32Array.from(alone[k].exact[i].keys), 1e-3, `run ${i}`);
    }
  }
});

test("encoding goes on behind stored blocks nearly as if it had read the file from its beginning", async () => {
  const { memory } = await open(decoderFixtures[0].path);
  const file = textOf(3000, 5);
  const states: RunState[] = [];
  const stored: StoredTokens[] = [];
  const whole: PlacelessRows[] = [];
  for await (const part of memory.encodeParts(file, { onState: (state) => states.push(state) })) {
    whole.push(part.rows);
    for (let at = 0; at < part.nTokens; at += 64) stored.push(part.stored(at, Math.min(at + 64, part.nTokens)));
  }
  for (const nTokens of [512, 2560]) {
    const from = states.find((state) => state.nTokens === nTokens)!.fork();
    for (let block = 0; block < nTokens / 64; block++) from.take(block, stored[block]);
    const rest: PlacelessRows[] = [];
    for await (const part of memory.encodeParts(file, { from })) rest.push(part.rows);
    const expected = whole.slice(nTokens / 128);
    assert.equal(rest.length, expected.length);
    for (const [i, { keys }] of rest.entries()) {
      assert.ok(relativeError(Float32Array.from(keys), Float32Array.from(expected[i].keys)) < 0.05);
    }
  }
});

test("stories260K goes on with a story whose beginning it has in memory", storiesModels, async () => {
  const { reader, memory } = await open(storiesModels.paths[0]);
  for (const { greedy_ids: story } of storiesModels.cases()) {
    const { stored } = await encoded(memory, story.slice(0, 100));
    const placed = { at: 0, nTokens: 100, rows: stored };
    for (const end of [120, 140, 160]) {
      const dense = (await reader.readText(story.slice(0, end))).slice();
      const logits = await reader.readText(story.slice(100, end), { placed });
      assertClose(logits, dense, 0.5, "logits");
      assert.equal(argmax(logits), argmax(dense));
    }
  }
});

test("landmarks and queries of questions are of unit length", storiesModels, async () => {
  const { memory } = await open(storiesModels.paths[0]);
  const [first, second] = storiesModels.cases().map(({ greedy_ids }) => greedy_ids);
  const landmarks: Float32Array[] = [];
  for await (const part of memory.encodeParts([...first.slice(0, 64), ...second.slice(64, 128)])) {
    landmarks.push(part.landmark(0, 64), part.landmark(64, 128));
  }
  for (const landmark of landmarks) assert.ok(Math.abs(Math.hypot(...landmark) - 1) < 1e-5);
  const query = await memory.query(first.slice(0, 64));
  assert.equal(query?.length, memory.shape.routeSize);
  assert.ok(Math.abs(Math.hypot(...query!) - 1) < 1e-5);
});

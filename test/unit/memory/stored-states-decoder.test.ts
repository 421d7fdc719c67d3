/** The same for users' models, whose states are the blocks that are stored anyway. */
import assert from "node:assert/strict";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { balancedPlan, type HeadGates } from "../../../engine/attention/plan.ts";
import { ExactIndex } from "../../../engine/memory/block-index.ts";
import { Checkpoints } from "../../../engine/memory/checkpoints.ts";
import { EncodingJob } from "../../../engine/memory/encoding-job.ts";
import { RepositoryMemory } from "../../../engine/memory/repository-memory.ts";
import { SegmentStore } from "../../../engine/memory/segment-store.ts";
import type { ModelTokenizer } from "../../../engine/models/tokenizer/tokenizer.ts";
import { DecoderMemory } from "../../../engine/runtime/decoder-memory.ts";
import { DecoderReader } from "../../../engine/runtime/decoder-reader.ts";
import { relativeError } from "../close.ts";
import { decoderFixtures, decoderForTest, openForTest } from "../decoder-golden.ts";
import { hashOf, sampleText, temporaryFolder } from "./small-memory.ts";

const RUN_TOKENS = 128;
const SPACING_TOKENS = 1024;
/** The fixtures have no tokenizers of their own. */
const bytes = {
  vocabSize: 128,
  token: (id: number) => `${id}`,
  encode: (text: string) => [...Buffer.from(text)],
  bytes: (id: number) => Uint8Array.of(id),
} as Partial<ModelTokenizer> as ModelTokenizer;

async function encoderOf(gates?: HeadGates) {
  const model = await openForTest(decoderFixtures[0].path);
  const config = { ...model.config, contextLength: 4096 };
  const plan = balancedPlan(model.config, gates);
  const decoder = await decoderForTest(model, { plan });
  const reader = new DecoderReader(decoder, config);
  return new DecoderMemory({ config, weights: model.weights, plan, decoder, reader, tokenizer: bytes });
}

/** Encodes a file with nothing at hand but what is on disk; its runs and the keys of its blocks. */
async function encodeOnce(encoder: DecoderMemory, dir: string, text: string) {
  const { fingerprint, shape } = encoder;
  const store = new SegmentStore(dir, { fingerprint, shape, quotaBytes: 2 ** 30, log: assert.fail });
  const memory = new RepositoryMemory(undefined, store, new ExactIndex(shape.routeSize));
  await memory.update([{ path: "a.ts", contentHash: hashOf(text), sizeBytes: text.length }]);
  let runs = 0;
  const turn = <T>(run: () => Promise<T>) => {
    runs++;
    return run();
  };
  const checkpoints = new Checkpoints(store, encoder);
  const deps = {
    memory,
    store,
    encoder,
    tokenizer: bytes,
    checkpoints,
    turn,
    read: async () => text,
    log: assert.fail,
  };
  await new EncodingJob(deps).run();
  const keys = [...memory.blocks()].flatMap((block) => [...encoder.rows(memory.read(block)!).keys]);
  return { runs, keys: Float32Array.from(keys), nTokens: encoder.fileIds("a.ts", text).length };
}

test("a file that grows is encoded from its last whole stretch on, after any number of restarts nearly as from scratch", async (context) => {
  const dir = temporaryFolder(context);
  const encoder = await encoderOf();
  let text = sampleText(1, 2500);
  let before = await encodeOnce(encoder, join(dir, "grown"), text);
  assert.equal(before.runs, Math.ceil(before.nTokens / RUN_TOKENS));
  for (let i = 0; i < 12; i++) {
    text += sampleText(i + 2, 400);
    const now = await encodeOnce(encoder, join(dir, "grown"), text);
    const start = before.nTokens - (before.nTokens % SPACING_TOKENS);
    assert.equal(now.runs, Math.ceil((now.nTokens - start) / RUN_TOKENS));
    before = now;
  }
  const states = readdirSync(join(dir, "grown", "states"));
  assert.equal(states.length, Math.floor(before.nTokens / SPACING_TOKENS));
  for (const name of states) assert.ok(statSync(join(dir, "grown", "states", name)).size < 100);
  const scratch = await encodeOnce(encoder, join(dir, "scratch"), text);
  const error = relativeError(before.keys, scratch.keys);
  assert.ok(error > 0 && error < 0.05, `${error}`);
  // At its end, where all that is seen was encoded behind what had been stored.
  const last = relativeError(
    before.keys.slice(-before.keys.length / 10),
    scratch.keys.slice(-scratch.keys.length / 10),
  );
  assert.ok(last < 0.05, `${last}`);
});

test("an edit in the middle and one at the start", async (context) => {
  const dir = temporaryFolder(context);
  const encoder = await encoderOf();
  const text = sampleText(1, 4000);
  await encodeOnce(encoder, join(dir, "edited"), text);
  const [at, start] = [2600, 2048];
  const middle = `${text.slice(0, at)}EDIT;${text.slice(at + 20)}`;
  const { runs, nTokens, keys } = await encodeOnce(encoder, join(dir, "edited"), middle);
  assert.equal(runs, Math.ceil((nTokens - start) / RUN_TOKENS));
  const scratch = await encodeOnce(encoder, join(dir, "scratch"), middle);
  assert.ok(relativeError(keys, scratch.keys) < 0.05);
  const first = await encodeOnce(encoder, join(dir, "edited"), `EDIT;${middle}`);
  assert.equal(first.runs, Math.ceil(first.nTokens / RUN_TOKENS));
  const exact = await encodeOnce(encoder, join(dir, "exact"), `EDIT;${middle}`);
  assert.deepEqual(first.keys, exact.keys);
});

test("where heads stream there is no state: what they keep is not stored", async (context) => {
  const dir = temporaryFolder(context);
  const { nLayers, nKvHeads } = (await openForTest(decoderFixtures[0].path)).config;
  const gates = Array.from({ length: nLayers }, () => Array.from({ length: nKvHeads }, (_, head) => head % 2));
  const encoder = await encoderOf(gates);
  const text = sampleText(1, 2500);
  await encodeOnce(encoder, dir, text);
  const { runs, nTokens } = await encodeOnce(encoder, dir, `${text}MORE;`);
  assert.equal(runs, Math.ceil(nTokens / RUN_TOKENS));
  assert.ok(!readdirSync(dir).includes("states"));
});

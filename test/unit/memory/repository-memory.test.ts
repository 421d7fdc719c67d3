import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { BlockScan, candidateOf } from "../../../engine/memory/block-scan.ts";
import { MEMORY_CLASSES } from "../../../engine/models/hybrid-config.ts";
import { HybridReference } from "../../../engine/reference-hybrid.ts";
import { HybridDecoder } from "../../../engine/runtime/hybrid.ts";
import { memoryTokens } from "../../../engine/runtime/hybrid-memory.ts";
import { HybridReader } from "../../../engine/runtime/hybrid-reader.ts";
import { assertClose } from "../close.ts";
import { config, model, sampleText, smallMemory, temporaryFolder, tokenizer } from "./small-memory.ts";

/** Asks by landmarks alone. */
const NOTHING = { heads: [], tokens: [] };
const NOWHERE = { path: "OTHER/NEW.TS", head: "", cursorLine: 1, firstLine: 1, lastLine: 1 };
const segmentsIn = (dir: string) =>
  readdirSync(dir, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".segment"));

test("a memory whose blocks are all chosen is dense attention over the same tokens", async (context) => {
  const files = new Map([
    ["A/ONE.TS", sampleText(1, 150)],
    ["OTHER/TWO.TS", sampleText(2, 90)],
  ]);
  const { memory, encoder, job } = await smallMemory(temporaryFolder(context), files, { topBlocks: 100 });
  await job().run();
  const blocks = [];
  for (const [path, text] of files) {
    const encoded = await encoder.encode(encoder.fileIds(path, text));
    const memoryClass = MEMORY_CLASSES.indexOf(path.startsWith("OTHER") ? "same_folder" : "other");
    // Without the token that begins a file.
    blocks.push({ tokens: encoded.stored(), start: 1, end: encoded.nTokens, class: memoryClass });
  }
  const dense = memoryTokens(blocks, config.headSize);
  assert.equal(memory.nTokens, dense.classes.length + files.size);
  assert.ok(memory.nBlocks > config.routeTopBlocks);

  const ids = tokenizer.encode(sampleText(3, 200));
  const decoder = await HybridDecoder.open(model, { nThreads: 1, accuracy: "float" });
  const seen = memory.memoryFor(NOWHERE);
  assert.ok(seen);
  const reader = new HybridReader(decoder);
  const c = config.headSize;
  const row = (rows: Float32Array) => (_: unknown, t: number) => Float64Array.from(rows.subarray(t * c, (t + 1) * c));
  const reference = new HybridReference(config, model.weights, {
    keys: Array.from(dense.classes, row(dense.keys)),
    values: Array.from(dense.classes, row(dense.values)),
    classes: [...dense.classes],
  });
  assertClose(await reader.readText(ids, { memory: seen }), reference.read(ids), 1e-3, "logits");
  // Token by token the same text gives the same.
  const again = new HybridReader(decoder);
  let logits = new Float32Array(0);
  for (let n = 1; n <= ids.length; n++) logits = (await again.readText(ids.slice(0, n), { memory: seen })).slice();
  const whole = (await decoder.read(decoder.start(), ids, { memory: dense })).logits;
  assertClose(logits, whole, 1e-3, "logits, token by token");

  const trace = seen.trace();
  assert.deepEqual(
    trace.layers.map(({ layer }) => layer),
    [config.memoryLayer],
  );
  for (const { blocks: looked, looks, estimatedRecall } of trace.layers) {
    assert.ok(Math.abs(estimatedRecall! - 1) < 1e-6);
    assert.equal(looked.length, memory.nBlocks);
    assert.ok(looks >= ids.length);
    const mass = looked.reduce((sum, block) => sum + block.mass, 0);
    assert.ok(mass > 0 && mass < 1, `${mass}`);
    for (const { mass: ofBlock, headMasses } of looked) {
      assert.equal(headMasses.length, config.nHeads);
      const sum = headMasses.reduce((all, one) => all + one, 0);
      assert.ok(Math.abs(sum / config.nHeads - ofBlock) < 1e-9);
    }
    for (let head = 0; head < config.nHeads; head++) {
      const ofHead = looked.reduce((sum, { headMasses }) => sum + headMasses[head], 0);
      assert.ok(ofHead > 0 && ofHead < 1, `${ofHead}`);
    }
  }
  assert.ok(trace.bytesRead > 0);
  await encoder.close();
  await decoder.close();
});

test("a moved file, a copy and a branch that comes back cost nothing", async (context) => {
  const dir = temporaryFolder(context);
  const files = new Map([
    ["A/ONE.TS", sampleText(1, 150)],
    ["B/TWO.TS", sampleText(2, 90)],
  ]);
  const { memory, encoder, update, job } = await smallMemory(dir, files);
  assert.equal((await job().run()).filesEncoded, 2);
  const all = segmentsIn(dir);

  files.set("C/MOVED.TS", files.get("A/ONE.TS")!);
  files.set("C/COPY.TS", files.get("B/TWO.TS")!);
  files.delete("A/ONE.TS");
  await update();
  assert.deepEqual(memory.missing, []);
  assert.equal(memory.encodedAt("A/ONE.TS"), undefined);
  assert.ok(memory.encodedAt("C/MOVED.TS"));
  assert.equal(memory.encodedAt("C/COPY.TS"), memory.encodedAt("B/TWO.TS"));
  assert.deepEqual(segmentsIn(dir), all);

  // Another branch has other contents; the first one's are kept for its return.
  const before = new Map(files);
  files.clear();
  files.set("B/TWO.TS", sampleText(5, 90));
  await update();
  assert.equal(memory.missing.length, 1);
  assert.equal(memory.nBlocks, 0);
  await job().run();
  for (const [path, text] of before) files.set(path, text);
  await update();
  assert.deepEqual(memory.missing, []);
  await encoder.close();
});

test("what the prompt shows of its own file is left out, the rest has the class it was trained with", async (context) => {
  const files = new Map([
    ["A/ONE.TS", sampleText(1, 1200)],
    ["A/TWO.TS", sampleText(2, 60)],
    ["A/THREE.TS", sampleText(3, 60)],
    ["B/FOUR.TS", sampleText(4, 60)],
  ]);
  const { memory, encoder, job } = await smallMemory(temporaryFolder(context), files);
  await job().run();
  const nLines = files.get("A/ONE.TS")!.split("\n").length;
  const middle = nLines >> 1;
  const place = {
    ...{ path: "A/ONE.TS", head: "import { X } from './TWO';\n" },
    ...{ cursorLine: middle, firstLine: middle - 10, lastLine: middle + 10 },
  };
  const seen = memory.memoryFor(place);
  assert.ok(seen);
  // Many queries together bring up every block.
  for (let i = 0; i < 200; i++) {
    const query = Float32Array.from({ length: config.routeSize }, (_, j) => Math.sin(i * 12.9 + j * 78.2));
    seen.select({ ...NOTHING, query });
  }
  const [{ blocks, refreshes, estimatedRecall }] = seen.trace().layers;
  assert.ok(estimatedRecall! > config.routeTopBlocks / memory.nBlocks && estimatedRecall! < 1, `${estimatedRecall}`);
  assert.equal(refreshes, 200);
  const classes = Map.groupBy(blocks, (block) => block.class);
  assert.deepEqual([...classes.keys()].sort(), [...MEMORY_CLASSES].sort());
  for (const block of classes.get("own_before") ?? []) assert.ok(block.endLine < place.firstLine);
  for (const block of classes.get("own_after") ?? []) assert.ok(block.startLine > place.lastLine);
  const pathsOf = (name: (typeof MEMORY_CLASSES)[number]) => [...new Set(classes.get(name)?.map(({ path }) => path))];
  assert.deepEqual(pathsOf("own_before"), ["A/ONE.TS"]);
  assert.deepEqual(pathsOf("imported"), ["A/TWO.TS"]);
  assert.deepEqual(pathsOf("same_folder"), ["A/THREE.TS"]);
  assert.deepEqual(pathsOf("other"), ["B/FOUR.TS"]);
  await encoder.close();
});

test("of the blocks that landmarks and rare tokens propose those are chosen that the heads attend to most, and only what that needs is read", async (context) => {
  const files = new Map([
    ["A/ONE.TS", sampleText(1, 150)],
    ["B/TWO.TS", `${sampleText(2, 140)}@`],
  ]);
  const dir = temporaryFolder(context);
  const { memory, encoder, job } = await smallMemory(dir, files, { topBlocks: 3 });
  await job().run();
  const query = Float32Array.from({ length: config.routeSize }, (_, i) => Math.cos(3 * i));
  // Of two tokens.
  const heads = [0, 1].map((token) =>
    Float32Array.from({ length: config.hiddenSize }, (_, i) => 0.4 * Math.sin(7 * (i + token * config.hiddenSize))),
  );
  const tokens = tokenizer.encode("X@");
  const seen = memory.memoryFor(NOWHERE);
  assert.ok(seen);
  const bytesBefore = memory.bytesRead;
  const chosen = seen.select({ query, heads, tokens });
  const bytesRead = memory.bytesRead - bytesBefore;
  const byLandmark = memory.top(query, 9);
  assert.equal(byLandmark.length, 9);
  const byToken = memory.topByTokens(tokens, 9);
  assert.equal(byToken.length, 1);
  assert.ok(!byLandmark.some(({ block }) => block === byToken[0].block));
  const candidates = [...byLandmark, ...byToken];
  assert.ok(memory.nBlocks > candidates.length);

  const biases = memory.classBiases(MEMORY_CLASSES.indexOf("other"));
  const planes = candidates.map(({ block }) => {
    const keys = memory.scan(block);
    assert.ok(keys);
    return candidateOf(keys, biases);
  });
  const best = new BlockScan().rank(heads, planes, 3, 0).best.map((i) => candidates[i].block);
  const looked = seen.trace().layers[0].blocks;
  assert.equal(looked.length, 3);
  const linesOf = (block: number) => `${memory.pathsOf(memory.at(block).owner)[0]} ${memory.at(block).lines.startLine}`;
  assert.deepEqual(new Set(looked.map(({ path, startLine }) => `${path} ${startLine}`)), new Set(best.map(linesOf)));
  // Not the same as the best by their landmarks, or nothing is shown.
  assert.notDeepEqual(new Set(best), new Set(candidates.slice(0, 3).map(({ block }) => block)));

  const isFirst = (block: number) => memory.at(block).owner.firstBlock === block;
  const tokensOf = (blocks: readonly number[]) =>
    blocks.reduce((sum, block) => sum + (memory.read(block)?.keys.scales.length ?? 0), 0);
  /** With the tokens that begin files, which are read and not seen. */
  const storedOf = (blocks: readonly number[]) => tokensOf(blocks) + blocks.filter(isFirst).length;
  const c = config.headSize;
  const nChosen = tokensOf(best);
  assert.equal(chosen.classes.length, nChosen);
  const scanned = storedOf(candidates.map(({ block }) => block)) * (c / 2 + 2);
  const fewest = scanned + storedOf(best) * (c + 2);
  const most = fewest + (storedOf(best) * c) / 2;
  assert.ok(bytesRead >= fewest && bytesRead <= most, `${bytesRead} of ${fewest} to ${most}`);
  await encoder.close();
});

test("a damaged segment leaves the memory with one line in the log and is encoded again", async (context) => {
  const dir = temporaryFolder(context);
  const files = new Map([
    ["A/ONE.TS", sampleText(1, 150)],
    ["A/TWO.TS", sampleText(2, 150)],
  ]);
  const first = await smallMemory(dir, files, { topBlocks: 100 });
  await first.job().run();
  const query = Float32Array.from({ length: config.routeSize }, () => 1);
  const [damaged, gone] = segmentsIn(dir).map((name) => join(dir, name));
  const bytes = readFileSync(damaged);
  // Among its blocks; the index at its end has been read.
  bytes[bytes.length >> 1] ^= 1;
  writeFileSync(damaged, bytes);
  rmSync(gone);
  // Found while it is attended to: what is left is used.
  const seen = first.memory.memoryFor(NOWHERE);
  assert.equal(seen?.select({ ...NOTHING, query }).classes.length, 0);
  assert.equal(first.log.length, 2, first.log.join("\n"));
  assert.equal(first.memory.missing.length, 2);
  assert.equal((await first.job().run()).filesEncoded, 2);
  assert.ok((first.memory.memoryFor(NOWHERE)?.select({ ...NOTHING, query }).classes.length ?? 0) > 100);

  // Found when the memory is opened.
  writeFileSync(damaged, "nonsense");
  const second = await smallMemory(dir, files);
  assert.equal(second.log.length, 1);
  assert.equal(second.memory.missing.length, 1);
  await first.encoder.close();
  await second.encoder.close();
});

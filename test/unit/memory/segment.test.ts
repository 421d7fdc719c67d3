import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { blockLines } from "../../../engine/memory/file-encoder.ts";
import { HIGH_ERROR } from "../../../engine/memory/key-planes.ts";
import {
  mostSegmentBytes,
  Segment,
  SegmentDamage,
  SegmentWriter,
  type WrittenBlock,
} from "../../../engine/memory/segment.ts";
import { SegmentStore } from "../../../engine/memory/segment-store.ts";
import { quantiseRows } from "../../../engine/runtime/hybrid-memory.ts";
import { bytesTokenizer } from "../complete/bytes-tokenizer.ts";
import { temporaryFolder } from "./small-memory.ts";

const shape = { headSize: 4, routeSize: 3, blockSize: 4 };
const id = new Uint8Array(32).fill(7);
const N_TOKENS = 10;

const rows = (n: number, seed: number) =>
  quantiseRows(
    Float32Array.from({ length: n * shape.headSize }, (_, i) => Math.sin(i * seed + seed)),
    shape.headSize,
  );
const BLOCKS = [4, 4, 2].map(
  (n, i): WrittenBlock => ({
    tokens: { keys: rows(n, i + 1), values: rows(n, i + 11) },
    ids: Array.from({ length: n }, (_, token) => 70_000 * i + token),
    landmark: Float32Array.of(i, 0.5, -1),
    startLine: 3 * i + 1,
    endLine: 3 * i + 4,
  }),
);

async function written(context: TestContext): Promise<string> {
  const dir = temporaryFolder(context);
  const path = join(dir, "a", "one.segment");
  const writer = SegmentWriter.create(path, join(dir, "b", "unfinished"), id, N_TOKENS, shape);
  for (const block of BLOCKS) writer.append(block);
  assert.equal(existsSync(path), false);
  await writer.commit();
  return path;
}

/** Opens a segment and reads all of it. */
function readAll(path: string): void {
  const opened = Segment.open(path, id, shape);
  assert.ok(opened);
  for (let block = 0; block < opened.segment.nBlocks; block++) opened.segment.read(block);
}

test("a segment gives back what was written", async (context) => {
  const path = await written(context);
  const opened = Segment.open(path, id, shape);
  assert.ok(opened);
  const { segment, landmarks, ids } = opened;
  assert.deepEqual([segment.nTokens, segment.nBlocks], [N_TOKENS, 3]);
  assert.deepEqual([...landmarks], [0, 0.5, -1, 1, 0.5, -1, 2, 0.5, -1]);
  assert.deepEqual(
    [...ids],
    BLOCKS.flatMap((block) => block.ids),
  );
  for (const [i, { tokens, startLine, endLine }] of BLOCKS.entries()) {
    assert.deepEqual(segment.read(i), tokens);
    assert.deepEqual(segment.lines(i), { startLine, endLine });
  }
  assert.equal(segment.sizeBytes, readFileSync(path).length);
  assert.ok(segment.sizeBytes <= mostSegmentBytes(N_TOKENS, shape));
  assert.equal(Segment.open(`${path}.none`, id, shape), undefined);
});

test("a block's parts can be read one by one, its keys roughly from the high plane", async (context) => {
  const opened = Segment.open(await written(context), id, shape);
  assert.ok(opened);
  const { segment } = opened;
  for (const [i, { tokens }] of BLOCKS.entries()) {
    const { high, low, ...others } = segment.readParts(i, ["high", "low"]);
    assert.ok(high && low);
    assert.deepEqual(others, {});
    assert.deepEqual(segment.keysOf(i, high, low), tokens.keys);
    const rough = segment.keysOf(i, high);
    assert.deepEqual(rough.scales, tokens.keys.scales);
    for (const [at, code] of tokens.keys.values.entries()) {
      assert.ok(Math.abs(rough.values[at] - code) <= HIGH_ERROR);
    }
    const { values } = segment.readParts(i, ["values"]);
    assert.ok(values);
    assert.deepEqual(segment.valuesOf(i, values), tokens.values);
    // Half of the keys, their scales; the other half; values and scales.
    const n = tokens.keys.scales.length;
    const sizes = [high, low, values].map(({ byteLength }) => byteLength);
    assert.deepEqual(sizes, [(n * shape.headSize) / 2 + 2 * n, (n * shape.headSize) / 2, n * shape.headSize + 2 * n]);
  }
});

test("large parts are deflated, and nothing of them is lost or changes without notice", async (context) => {
  const dir = temporaryFolder(context);
  const path = join(dir, "large.segment");
  const large = { headSize: 64, rowsPerToken: 8, routeSize: 64, blockSize: 64 };
  const nTokens = 100;
  // Sums of sines are bell-shaped, as keys and values are.
  const bells = (n: number, seed: number) =>
    Float32Array.from({ length: n * 8 * 64 }, (_, i) =>
      [1, 2.3, 5.1, 7.7].reduce((sum, f) => sum + Math.sin(i * i * f + seed), 0),
    );
  const blocks = [64, 36].map((n, i) => ({
    tokens: { keys: quantiseRows(bells(n, i), 64), values: quantiseRows(bells(n, i + 2), 64) },
    ids: Array.from({ length: n }, (_, token) => token),
    landmark: new Float32Array(64).fill(i),
    startLine: i + 1,
    endLine: i + 2,
  }));
  const writer = SegmentWriter.create(path, join(dir, "unfinished"), id, nTokens, large);
  for (const block of blocks) writer.append(block);
  await writer.commit();
  const { segment } = Segment.open(path, id, large)!;
  for (const [i, { tokens }] of blocks.entries()) assert.deepEqual(segment.read(i), tokens);
  assert.ok(segment.sizeBytes < 0.97 * mostSegmentBytes(nTokens, large), `${segment.sizeBytes}`);
  assert.equal(segment.sizeBytes, statSync(path).size);
  const whole = readFileSync(path);
  for (let at = 0; at < whole.length; at += 997) {
    const changed = Buffer.from(whole);
    changed[at] ^= 1 << (at % 8);
    writeFileSync(path, changed);
    assert.throws(() => Segment.verify(path, id, large), SegmentDamage, `byte ${at}`);
  }
});

test("no byte can change and no end be missing without notice", async (context) => {
  const path = await written(context);
  const whole = readFileSync(path);
  for (let at = 0; at < whole.length; at++) {
    const changed = Buffer.from(whole);
    changed[at] ^= 1 << (at % 8);
    writeFileSync(path, changed);
    assert.throws(() => readAll(path), SegmentDamage, `byte ${at}`);
  }
  for (let length = 0; length < whole.length; length++) {
    writeFileSync(path, whole.subarray(0, length));
    assert.throws(() => readAll(path), SegmentDamage, `cut to ${length} bytes`);
  }
  writeFileSync(path, Buffer.concat([whole, Buffer.of(0)]));
  assert.throws(() => readAll(path), SegmentDamage);
  writeFileSync(path, whole);
  readAll(path);
});

test("a segment of another file or of another model's shape is refused", async (context) => {
  const path = await written(context);
  assert.throws(() => Segment.open(path, new Uint8Array(32), shape), /another file's/);
  assert.throws(() => Segment.open(path, id, { ...shape, routeSize: 4 }), /another model's/);
});

test("segments of an older format are encoded again, with one line in the log for all of them", (context) => {
  const dir = temporaryFolder(context);
  const log: string[] = [];
  const options = { fingerprint: "model", shape, quotaBytes: 1e6, log: (line: string) => log.push(line) };
  const store = new SegmentStore(dir, options);
  const ids = ["a", "b", "c"].map((contents) => store.idOf(contents));
  const paths = ids.map((one) => join(dir, store.nameOf(one)));
  const old = Buffer.alloc(1000);
  old.write("LSMEMSEG");
  old.writeUInt32LE(1, 8);
  for (const path of paths.slice(0, 2)) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, old);
  }
  for (const one of ids) assert.equal(store.open(one), undefined);
  assert.equal(log.length, 1, log.join("\n"));
  assert.match(log[0], /of an older format are encoded again/);
  assert.ok(!paths.some((path) => existsSync(path)));
});

test("every block says which lines it holds", () => {
  const tokenizer = bytesTokenizer(["<eot>", "<file>"]);
  const lines = (text: string) =>
    blockLines([1, ...tokenizer.encode(`a.b\n${text}`), 0], 4, (token) => tokenizer.bytes(token)).map(
      ({ startLine, endLine }) => `${startLine}-${endLine}`,
    );
  // The header takes the first block.
  assert.deepEqual(lines("abc"), ["1-1", "1-1", "1-1"]);
  assert.deepEqual(lines("ab\ncd\n\nef\n"), ["1-1", "1-1", "2-2", "4-4"]);
  assert.deepEqual(lines(""), ["1-1", "1-1"]);
});

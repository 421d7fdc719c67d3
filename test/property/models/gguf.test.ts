/** The GGUF reader against any metadata and tensors, and against a reader that is not ours. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { GGMLQuantizationType, gguf as readPeer } from "@huggingface/gguf";
import fc from "fast-check";
import { openGguf } from "../../../engine/models/files/gguf.ts";
import type { MetadataValue, ModelFile } from "../../../engine/models/files/model-file.ts";
import { LAYOUTS } from "../../../engine/models/files/tensor-types.ts";
import type { TensorType } from "../../../engine/models/types.ts";
import { testData } from "../../data.ts";
import { gguf, sizeOf, text, type Value } from "../../unit/models/gguf-writer.ts";
import { temporaryFolder } from "../../unit/models/small-model.ts";

const ranges = { u8: [0, 255], i8: [-128, 127], u16: [0, 65_535], i16: [-32_768, 32_767] } as const;
const wide = { u32: [0, 2 ** 32 - 1], i32: [-(2 ** 31), 2 ** 31 - 1] } as const;

/** A scalar of a given type. */
function scalar(type: Exclude<Value["type"], "array">): fc.Arbitrary<Value> {
  switch (type) {
    case "f32":
      return fc.float({ noNaN: true }).map((value) => ({ type, value }));
    case "f64":
      return fc.double({ noNaN: true }).map((value) => ({ type, value }));
    case "u64":
      return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((value) => ({ type, value }));
    case "i64":
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value) => ({ type, value }));
    case "bool":
      return fc.boolean().map((value) => ({ type, value }));
    case "string":
      return fc.string({ unit: "binary" }).map((value) => ({ type, value: value.toWellFormed() }));
    default: {
      const [min, max] = { ...ranges, ...wide }[type];
      return fc.integer({ min, max }).map((value) => ({ type, value }));
    }
  }
}

const SCALARS = ["u8", "i8", "u16", "i16", "u32", "i32", "f32", "f64", "u64", "i64", "bool", "string"] as const;
const anyScalar = fc.constantFrom(...SCALARS).chain(scalar);
const anyList = fc
  .constantFrom(...SCALARS)
  .chain((of) => fc.array(scalar(of), { maxLength: 5 }).map((value): Value => ({ type: "array", of, value })));

/** As the reader gives a value: integers as numbers where a number holds them. */
function plain(value: Value): MetadataValue {
  if (value.type === "array") return value.value.map(plain);
  if (value.type === "f32") return Math.fround(value.value);
  if (typeof value.value !== "bigint") return value.value;
  return Number.isSafeInteger(Number(value.value)) ? Number(value.value) : value.value;
}

const anyMetadata = fc.dictionary(
  fc.string({ minLength: 1, maxLength: 12 }).filter((key) => key !== "general.alignment" && key !== "split.count"),
  fc.oneof(anyScalar, anyList),
  { maxKeys: 8 },
);

const TYPES = Object.keys(LAYOUTS) as TensorType[];

const anyTensor = fc
  .record({
    type: fc.constantFrom(...TYPES),
    outer: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 }),
    blocks: fc.integer({ min: 1, max: 3 }),
    byte: fc.nat(255),
  })
  .map(({ type, outer, blocks, byte }) => {
    const shape = [...outer, blocks * LAYOUTS[type].blockSize];
    const entry = { name: "", type, shape };
    return { ...entry, data: Uint8Array.from({ length: sizeOf(entry) }, (_, i) => (byte + i) & 255) };
  });

const anyTensors = fc
  .uniqueArray(fc.string({ minLength: 1, maxLength: 20 }), { maxLength: 6 })
  .chain((names) => fc.tuple(...names.map((name) => anyTensor.map((tensor) => ({ ...tensor, name })))));

/** Writes bytes, opens them with our reader, and closes it after `use`. */
async function opened<T>(path: string, bytes: Uint8Array, use: (file: ModelFile) => T | Promise<T>): Promise<T> {
  writeFileSync(path, bytes);
  const file = openGguf(path);
  try {
    return await use(file);
  } finally {
    file.close();
  }
}

test("what is written is read: any metadata, any tensors", async (t) => {
  const path = join(temporaryFolder(t), "model.gguf");
  await fc.assert(
    fc.asyncProperty(anyMetadata, anyTensors, (metadata, tensors) =>
      opened(path, gguf(metadata, tensors), (file) => {
        assert.deepEqual(new Set(file.metadata.keys()), new Set(Object.keys(metadata)));
        for (const [key, value] of Object.entries(metadata)) assert.deepEqual(file.metadata.get(key), plain(value));
        assert.equal(file.tensors.size, tensors.length);
        for (const { name, type, shape, data } of tensors) {
          const tensor = file.tensors.get(name);
          assert.deepEqual([tensor?.type, tensor?.shape, tensor?.byteLength], [type, shape, data.length]);
          assert.deepEqual(file.read(name), data);
        }
      }),
    ),
    { numRuns: 500 },
  );
});

/** Fails unless the peer reads the same metadata and tensors from the file. */
async function assertAgrees(file: ModelFile): Promise<void> {
  const peer = await readPeer(file.path, { allowLocalFile: true });
  const { version: _, tensor_count: __, kv_count: ___, ...metadata } = peer.metadata;
  assert.deepEqual(new Set(file.metadata.keys()), new Set(Object.keys(metadata)));
  for (const [key, value] of Object.entries(metadata)) {
    assert.deepEqual(unmarked(file.metadata.get(key)), narrowed(value), key);
  }
  assert.deepEqual(
    [...file.tensors.values()].map(({ name, type, shape }) => ({ name, type, shape })),
    peer.tensorInfos.map(({ name, dtype, shape }) => ({
      name,
      type: GGMLQuantizationType[dtype],
      shape: shape.map(Number).reverse(),
    })),
  );
}

const MARK = "\ufeff";

/** The peer takes a byte-order mark at the start of a text away; we keep it, since it is a token of vocabularies. */
function unmarked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unmarked);
  return typeof value === "string" && value.startsWith(MARK) ? value.slice(1) : value;
}

/** The peer gives every 64-bit integer as bigint. */
function narrowed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(narrowed);
  return typeof value === "bigint" && Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

test("a peer reads the same: any file", async (t) => {
  const path = join(temporaryFolder(t), "model.gguf");
  await fc.assert(
    fc.asyncProperty(anyMetadata, anyTensors, (metadata, tensors) => {
      // The peer looks for this key in every file, and holds all of them in a plain object.
      const entries = Object.entries(metadata).filter(([key]) => !(key in Object.prototype) && !key.startsWith(MARK));
      const named = Object.fromEntries([...entries, ["general.architecture", text("llama")]]) as typeof metadata;
      return opened(path, gguf(named, tensors), assertAgrees);
    }),
    { numRuns: 200 },
  );
});

function agreesOn(name: string, path: string, skip: string | false): void {
  test(`a peer reads the same: ${name}`, { skip }, async (t: TestContext) => {
    const file = openGguf(path);
    t.after(() => file.close());
    await assertAgrees(file);
  });
}

const stories = testData("models/stories260K/stories260K.gguf");
const random = testData("models/llama-2-tiny-random.gguf");
agreesOn("stories260K.gguf", stories.path, stories.skip);
agreesOn("llama-2-tiny-random.gguf", random.path, random.skip);
for (const name of ["gpt-2", "deepseek-coder", "starcoder", "llama-spm", "phi-3"]) {
  const vocabulary = testData(`tokenizers/ggml-vocab-${name}.gguf`);
  agreesOn(`the vocabulary ${name}`, vocabulary.path, vocabulary.skip);
}

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { LongsightError } from "../../../../engine/errors.ts";
import { openGguf } from "../../../../engine/models/files/gguf.ts";
import type { ModelFile } from "../../../../engine/models/files/model-file.ts";
import { GGUF_TYPE_NAMES } from "../../../../engine/models/files/tensor-types.ts";
import type { TensorType } from "../../../../engine/models/types.ts";
import { gguf, list, type TensorEntry, text, texts, u32, type Value } from "../gguf-writer.ts";
import { temporaryFolder, weightBytes } from "../small-model.ts";

type Tensor = TensorEntry & { readonly data: Uint8Array };

function tensor(name: string, type: TensorType, ...shape: number[]): Tensor {
  return {
    name,
    type,
    shape,
    data: weightBytes(
      type,
      shape.reduce((a, b) => a * b, 1),
    ),
  };
}

/** Opens bytes as a file that is closed after the test. */
function open(t: TestContext, bytes: Uint8Array): ModelFile {
  const path = join(temporaryFolder(t), "model.gguf");
  writeFileSync(path, bytes);
  const file = openGguf(path);
  t.after(() => file.close());
  return file;
}

/** Fails unless the bytes are refused with this code and a sentence that matches. */
function refused(t: TestContext, bytes: Uint8Array, code: LongsightError["code"], sentence: RegExp): void {
  assert.throws(
    () => open(t, bytes),
    (error) => {
      assert.ok(error instanceof LongsightError, String(error));
      assert.equal(error.code, code);
      assert.match(error.message, sentence);
      return true;
    },
  );
}

/** A copy with some bytes replaced. */
function patched(bytes: Buffer, at: number, ...values: number[]): Buffer {
  const copy = Buffer.from(bytes);
  copy.set(values, at);
  return copy;
}

/** Where an entry's name stands, so that what follows it can be changed. */
const after = (bytes: Buffer, name: string) => bytes.indexOf(name) + name.length;

test("versions 2 and 3 give the same metadata and tensors", (t) => {
  const metadata: Record<string, Value> = {
    u8: { type: "u8", value: 250 },
    i8: { type: "i8", value: -3 },
    u16: { type: "u16", value: 65_535 },
    i16: { type: "i16", value: -300 },
    u32: u32(4_000_000_000),
    i32: { type: "i32", value: -5 },
    f32: { type: "f32", value: 0.5 },
    f64: { type: "f64", value: 0.1 },
    yes: { type: "bool", value: true },
    text: text("größer 😀"),
    small: { type: "u64", value: 7n },
    big: { type: "u64", value: 2n ** 63n },
    low: { type: "i64", value: -(2n ** 62n) - 1n },
    numbers: list("i32", [1, -2, 3]),
    texts: texts(["a", "", "ü"]),
    nested: { type: "array", of: "array", value: [list("u32", [1]), list("u32", [])] },
  };
  const bytes = gguf(metadata, [tensor("a", "Q4_0", 3, 64), tensor("b", "F32", 5)]);
  for (const version of [2, 3]) {
    const file = open(t, patched(bytes, 4, version));
    const values = Object.fromEntries([...file.metadata.keys()].map((key) => [key, file.metadata.get(key)]));
    assert.deepEqual(values, {
      ...{ u8: 250, i8: -3, u16: 65_535, i16: -300, u32: 4_000_000_000, i32: -5, f32: 0.5, f64: 0.1, yes: true },
      ...{ text: "größer 😀", small: 7, big: 2n ** 63n, low: -(2n ** 62n) - 1n },
      ...{ numbers: [1, -2, 3], texts: ["a", "", "ü"], nested: [[1], []] },
    });
    assert.equal(file.metadata.get("absent"), undefined);
    assert.equal(file.metadata.has("texts"), true);
    assert.deepEqual(
      [...file.tensors.values()].map(({ name, type, shape, byteLength }) => [name, type, shape, byteLength]),
      [
        ["a", "Q4_0", [3, 64], 108],
        ["b", "F32", [5], 20],
      ],
    );
  }
});

test("rows are read where they lie, and only these", (t) => {
  const matrix = tensor("a", "Q8_0", 4, 32);
  const data = matrix.data.map((_, i) => i);
  const file = open(t, gguf({}, [tensor("first", "F32", 3), { ...matrix, data }]));
  assert.deepEqual([...file.read("a")], [...data]);
  assert.deepEqual([...file.read("a", 1, 2)], [...data.subarray(34, 102)]);
  assert.deepEqual([...file.read("a", 3)], [...data.subarray(102)]);
  assert.throws(() => file.read("a", 3, 2), RangeError);
  assert.throws(() => file.read("b"), /tensor b is missing/);
});

test("another alignment than 32 is followed", (t) => {
  const metadata = { "general.alignment": u32(64), pad: text("x") };
  const [a, b] = [tensor("a", "F32", 16), tensor("b", "F32", 8)];
  const header = gguf(metadata, [a, b]).subarray(0, -96);
  const start = Math.ceil((after(header, "b") + 4 + 8 + 4 + 8) / 64) * 64;
  const bytes = Buffer.alloc(start + 64 + 32);
  bytes.set(header);
  bytes.set(a.data, start);
  bytes.set(b.data, start + 64);
  assert.deepEqual(open(t, bytes).read("b"), new Uint8Array(b.data));
  for (const value of [0, 3, 2 ** 20]) {
    refused(t, gguf({ "general.alignment": u32(value) }, []), "bad-model", /its alignment is/);
  }
  refused(t, gguf({ "general.alignment": text("32") }, []), "bad-model", /its alignment is/);
});

test("a model split into several files is one model", (t) => {
  const folder = temporaryFolder(t);
  const path = (part: number) => join(folder, `m-0000${part}-of-00002.gguf`);
  const split = (number: number): Record<string, Value> => ({
    "split.no": { type: "u16", value: number },
    "split.count": { type: "u16", value: 2 },
  });
  const [a, b] = [tensor("a", "F32", 4), tensor("b", "F32", 6)];
  writeFileSync(path(1), gguf({ ...split(0), name: text("whole") }, [a]));
  assert.throws(() => openGguf(path(1)), /m-00002-of-00002.gguf does not exist/);
  writeFileSync(path(2), gguf(split(1), [b]));
  const file = openGguf(path(1));
  assert.deepEqual(file.files, [path(1), path(2)]);
  assert.equal(file.metadata.get("name"), "whole");
  assert.deepEqual(file.read("b"), new Uint8Array(b.data));
  file.close();
  assert.throws(() => openGguf(path(2)), /give the part whose name ends in -00001-of-00002.gguf/);
  writeFileSync(path(2), gguf(split(1), [a]));
  assert.throws(() => openGguf(path(1)), /tensor a occurs twice/);
  const elsewhere = join(folder, "renamed.gguf");
  writeFileSync(elsewhere, gguf(split(0), [a]));
  assert.throws(() => openGguf(elsewhere), LongsightError);
});

test("what is no little-endian GGUF of version 2 or 3 is named", (t) => {
  const bytes = gguf({}, []);
  refused(t, Buffer.from("PK\u0003\u0004 and more than 24 bytes"), "bad-model", /is not a GGUF file; give a .gguf/);
  refused(t, Buffer.alloc(0), "bad-model", /too short for a GGUF file/);
  refused(t, patched(bytes, 4, 1), "unsupported", /a GGUF file of version 1; choose/);
  refused(t, patched(bytes, 4, 0, 0, 0, 3), "unsupported", /a big-endian GGUF file; choose/);
  refused(t, patched(bytes, 4, 0), "unsupported", /a GGUF file of version 0; choose/);
});

test("every tensor type without a layout is refused by its name", (t) => {
  const bytes = gguf({}, [tensor("tensor", "F32", 256)]);
  const at = after(bytes, "tensor") + 4 + 8;
  const readable = ["F32", "F16", "BF16", "I8", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"];
  for (const [number, name] of GGUF_TYPE_NAMES.entries()) {
    if (name === undefined || readable.includes(name)) continue;
    const sentence = new RegExp(`stores tensor tensor as ${name}, which Longsight does not read; choose a file with`);
    refused(t, patched(bytes, at, number), "unsupported", sentence);
  }
  refused(t, patched(bytes, at, 200), "unsupported", /as type number 200, which/);
});

test("counts and lengths that the file cannot hold are refused before anything is allocated", (t) => {
  const bytes = gguf({ key: texts(["a", "b"]) }, [tensor("tensor", "F32", 4)]);
  const huge = [0, 0, 0, 0, 0, 0, 0, 0x70];
  refused(t, patched(bytes, 8, ...huge), "bad-model", /the tensor table counts/);
  refused(t, patched(bytes, 16, ...huge), "bad-model", /the metadata counts/);
  refused(t, patched(bytes, 24, ...huge), "bad-model", /a string counts/);
  refused(t, patched(bytes, after(bytes, "key") + 8, ...huge), "bad-model", /a metadata array counts/);
  refused(t, patched(bytes, after(bytes, "key") + 16, ...huge), "bad-model", /a string counts/);
  refused(t, patched(bytes, after(bytes, "tensor") + 4, ...huge), "bad-model", /has the shape/);
  const absurd = Buffer.alloc(8 << 20);
  absurd.set(bytes.subarray(0, 24));
  absurd.writeBigUInt64LE(200_000n, 8);
  refused(t, absurd, "bad-model", /the tensor table counts 200000 entries/);
});

test("metadata that contradicts itself is refused", (t) => {
  const bytes = gguf({ key: u32(1), kez: u32(2) }, []);
  refused(t, patched(bytes, bytes.indexOf("kez") + 2, "y".charCodeAt(0)), "bad-model", /metadata key key occurs twice/);
  refused(t, patched(bytes, after(bytes, "key"), 99), "bad-model", /there is no metadata type 99/);
  refused(t, patched(bytes, bytes.indexOf("key"), 0xff), "bad-model", /a name is not valid UTF-8/);
  const deep = (depth: number): Value =>
    depth === 0 ? u32(1) : { type: "array", of: depth === 1 ? "u32" : "array", value: [deep(depth - 1)] };
  assert.deepEqual(open(t, gguf({ deep: deep(4) }, [])).metadata.get("deep"), [[[[1]]]]);
  refused(t, gguf({ deep: deep(5) }, []), "bad-model", /nested more than 4 deep/);
});

test("malformed UTF-8 is tolerated in values, where vocabularies hold raw bytes", (t) => {
  const bytes = gguf({ key: text("value") }, []);
  const file = open(t, patched(bytes, bytes.indexOf("value"), 0xff));
  assert.equal(file.metadata.get("key"), "\ufffdalue");
});

test("tensors that overlap, stick out, are misaligned or have no sensible shape are refused", (t) => {
  const bytes = gguf({}, [tensor("first", "F32", 32), tensor("second", "F32", 32)]);
  const offset = (name: string) => after(bytes, name) + 4 + 8 + 4;
  refused(t, patched(bytes, offset("second"), 96), "bad-model", /tensors first and second overlap/);
  refused(t, patched(bytes, offset("second"), 160), "bad-model", /tensor second ends after the file's end/);
  refused(t, patched(bytes, offset("second"), 0, 0, 0, 0, 0, 0, 0, 0x80), "bad-model", /second starts after/);
  refused(t, patched(bytes, offset("second"), 129), "bad-model", /tensor second is not aligned to 32 bytes/);
  refused(t, patched(bytes, after(bytes, "second"), 0), "bad-model", /tensor second has 0 dimensions/);
  refused(t, patched(bytes, after(bytes, "second"), 9), "bad-model", /tensor second has 9 dimensions/);
  refused(t, patched(bytes, after(bytes, "second") + 4, 0), "bad-model", /tensor second has the shape \[0\]/);
  refused(
    t,
    patched(bytes, after(bytes, "second") + 12, 12),
    "bad-model",
    /second has rows of 32 weights, not whole Q4_K/,
  );
  refused(t, bytes.subarray(0, -4), "bad-model", /tensor second ends after the file's end/);
  const twice = gguf({}, [tensor("a", "F32", 8), tensor("b", "F32", 8)]);
  refused(t, patched(twice, twice.indexOf("b", 24), "a".charCodeAt(0)), "bad-model", /tensor a occurs twice/);
});

test("a file cut anywhere is refused", (t) => {
  const bytes = gguf({ key: texts(["one", "two"]) }, [tensor("a", "Q4_0", 2, 32)]);
  const padding = 28; // the tensor's 36 bytes are padded to 64
  for (let length = 0; length < bytes.length - padding; length += 3) {
    assert.throws(() => open(t, bytes.subarray(0, length)), LongsightError, `${length} bytes`);
  }
});

test("a folder, a missing file and a file without rights are named", (t) => {
  const folder = temporaryFolder(t);
  assert.throws(() => openGguf(folder), /give a (model )?file/);
  assert.throws(() => openGguf(join(folder, "none.gguf")), /does not exist; check the path/);
});

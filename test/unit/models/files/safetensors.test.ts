import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { LongsightError } from "../../../../engine/errors.ts";
import type { ModelFile } from "../../../../engine/models/files/model-file.ts";
import { openSafetensors } from "../../../../engine/models/files/safetensors.ts";
import { type Entry, safetensors, withHeader } from "../safetensors-writer.ts";
import { numbers, temporaryFolder } from "../small-model.ts";

const floats = (n: number, seed = 1): Uint8Array => new Uint8Array(numbers(n, seed).buffer);

/** A folder with an empty config.json and the given files. */
function folderOf(t: TestContext, files: Readonly<Record<string, Uint8Array | string>>): string {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, "config.json"), "{}");
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  return folder;
}

function open(t: TestContext, files: Readonly<Record<string, Uint8Array | string>>): ModelFile {
  const file = openSafetensors(folderOf(t, files));
  t.after(() => file.close());
  return file;
}

function refused(
  t: TestContext,
  files: Readonly<Record<string, Uint8Array | string>>,
  code: LongsightError["code"],
  sentence: RegExp,
): void {
  assert.throws(
    () => open(t, files),
    (error) => {
      assert.ok(error instanceof LongsightError, String(error));
      assert.equal(error.code, code);
      assert.match(error.message, sentence);
      return true;
    },
  );
}

const A: Entry = { dtype: "F32", shape: [2, 3], data: floats(6) };
const B: Entry = { dtype: "BF16", shape: [4], data: floats(2, 2) };

test("tensors are described, and their rows read where they lie", (t) => {
  const file = open(t, { "config.json": '{"model_type":"llama"}', "model.safetensors": safetensors({ A, B }) });
  assert.deepEqual(file.config, { model_type: "llama" });
  assert.deepEqual(
    [...file.tensors.values()].map(({ name, type, shape, byteLength }) => [name, type, shape, byteLength]),
    [
      ["A", "F32", [2, 3], 24],
      ["B", "BF16", [4], 8],
    ],
  );
  assert.deepEqual(file.read("A", 1, 1), A.data.slice(12));
  assert.deepEqual(file.read("B"), B.data);
  assert.throws(() => file.read("A", 2, 1), RangeError);
  assert.throws(() => file.read("C"), /tensor C is missing/);
});

test("unused bytes between and after tensors are allowed", (t) => {
  const header = {
    A: { dtype: "F32", shape: [2], data_offsets: [8, 16] },
    B: { dtype: "F32", shape: [1], data_offsets: [0, 4] },
  };
  const data = floats(6);
  const file = open(t, { "model.safetensors": withHeader(`${JSON.stringify(header)}   `, data) });
  assert.deepEqual(file.read("A"), data.slice(8, 16));
});

test("an index spreads a model over several files", (t) => {
  const index = (weights: Record<string, unknown>) => JSON.stringify({ metadata: {}, weight_map: weights });
  const shards = { "m-1.safetensors": safetensors({ A, extra: A }), "m-2.safetensors": safetensors({ B, A: B }) };
  const weights = { A: "m-1.safetensors", B: "m-2.safetensors" };
  const indexed = (map: Record<string, unknown>) => ({ ...shards, "model.safetensors.index.json": index(map) });
  const file = open(t, indexed(weights));
  assert.deepEqual([...file.tensors.keys()], ["A", "B"]);
  assert.deepEqual(file.read("A"), A.data);
  assert.deepEqual(file.read("B"), B.data);
  assert.deepEqual(
    file.files.map((path) => path.slice(path.lastIndexOf("/") + 1)),
    ["config.json", "m-1.safetensors", "m-2.safetensors"],
  );
  const both = open(t, { ...indexed(weights), "model.safetensors": safetensors({ whole: A }) });
  assert.deepEqual([...both.tensors.keys()], ["whole"], "a single file comes before an index");

  refused(t, indexed({ ...weights, C: "m-2.safetensors" }), "bad-model", /places tensor C in m-2.safetensors, which/);
  refused(t, indexed({ ...weights, C: "m-3.safetensors" }), "not-found", /m-3.safetensors does not exist; give/);
  refused(t, indexed({ A: "../m-1.safetensors" }), "bad-model", /not in a file of the folder/);
  refused(t, indexed({ A: "/etc/passwd" }), "bad-model", /not in a file of the folder/);
  refused(t, indexed({ A: 5 }), "bad-model", /not in a file of the folder/);
  const many = Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`t${i}`, `${i}.safetensors`]));
  refused(t, indexed(many), "bad-model", /it names 1001 files/);
  refused(t, { ...shards, "model.safetensors.index.json": "{}" }, "bad-model", /has no weight_map/);
});

test("a header that the file does not bear out is refused", (t) => {
  const header = (entry: unknown, data = floats(4)) => ({
    "model.safetensors": withHeader(JSON.stringify({ name: entry }), data),
  });
  const valid = { dtype: "F32", shape: [4], data_offsets: [0, 16] };
  open(t, header(valid));
  const wrong: [unknown, RegExp][] = [
    [{ ...valid, data_offsets: [0, 12] }, /has 12 bytes, its shape needs 16/],
    [{ ...valid, data_offsets: [16, 0] }, /has -16 bytes/],
    [{ ...valid, data_offsets: [8, 24] }, /ends after the file's end/],
    [{ ...valid, data_offsets: [0] }, /no valid data_offsets/],
    [{ ...valid, data_offsets: [-4, 12] }, /no valid data_offsets/],
    [{ ...valid, data_offsets: [0, "16"] }, /no valid data_offsets/],
    [{ ...valid, data_offsets: [2 ** 60, 2 ** 60 + 16] }, /no valid data_offsets/],
    [{ ...valid, shape: [-4] }, /no valid shape/],
    [{ ...valid, shape: [2.5] }, /no valid shape/],
    [{ ...valid, shape: [0] }, /has the shape \[0\]/],
    [{ ...valid, shape: [2 ** 50, 2 ** 50] }, /has the shape/],
    [{ ...valid, shape: "4" }, /no valid shape/],
    [[], /no description/],
    [null, /no description/],
  ];
  for (const [entry, sentence] of wrong) refused(t, header(entry), "bad-model", sentence);
  const overlapping = { a: { ...valid }, b: { ...valid, shape: [2], data_offsets: [8, 16] } };
  const bytes = withHeader(JSON.stringify(overlapping), floats(4));
  refused(t, { "model.safetensors": bytes }, "bad-model", /tensors a and b overlap/);
});

test("dtypes without a meaning here are refused by name", (t) => {
  for (const dtype of ["F64", "I64", "U8", "BOOL", "F8_E4M3"]) {
    const file = { "model.safetensors": safetensors({ t: { dtype, shape: [1], data: floats(2) } }) };
    refused(t, file, "unsupported", new RegExp(`stores tensor t as "${dtype}", which Longsight does not read; choose`));
  }
});

test("headers that are too long, cut, or no JSON are refused", (t) => {
  const file = (bytes: Uint8Array) => ({ "model.safetensors": bytes });
  const whole = safetensors({ A });
  for (let length = 0; length < whole.length; length += 7) {
    assert.throws(() => open(t, file(whole.subarray(0, length))), LongsightError, `${length} bytes`);
  }
  refused(t, file(new Uint8Array(4)), "bad-model", /too short for a safetensors file/);
  refused(t, file(new Uint8Array(64).fill(255)), "bad-model", /the header counts/);
  const huge = Buffer.alloc((33 << 20) + 8);
  huge.writeBigUInt64LE(33n << 20n);
  refused(t, file(huge), "bad-model", /its header has 34603008 bytes/);
  refused(t, file(withHeader("{", floats(1))), "bad-model", /its header is not valid JSON/);
  refused(t, file(withHeader("[]", floats(1))), "bad-model", /its header is not a JSON object/);
  refused(t, file(withHeader("[".repeat(100_000), floats(1))), "bad-model", /its header is not valid JSON/);
  const pointless = Object.fromEntries(Array.from({ length: 100_001 }, (_, i) => [`t${i}`, 0]));
  refused(t, file(withHeader(JSON.stringify(pointless), floats(1))), "bad-model", /its header names 100001 tensors/);
});

test("a folder that lacks files is told so", (t) => {
  const folder = temporaryFolder(t);
  assert.throws(() => openSafetensors(folder), /config.json does not exist/);
  writeFileSync(join(folder, "config.json"), "{}");
  assert.throws(() => openSafetensors(folder), /model.safetensors does not exist; give a .gguf file or a complete/);
  mkdirSync(join(folder, "model.safetensors"));
  assert.throws(() => openSafetensors(folder), LongsightError);
  writeFileSync(join(folder, "config.json"), "\xff");
  assert.throws(
    () => openSafetensors(folder),
    /config.json is damaged or incomplete \(its content is not valid JSON\)/,
  );
});

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ByteCursor, ByteFile } from "../../../../engine/models/files/byte-file.ts";
import { openModelFile } from "../../../../engine/models/files/open.ts";
import { temporaryFolder } from "../small-model.ts";

test("bytes inside the file are read, others refused", (t) => {
  const path = join(temporaryFolder(t), "file");
  writeFileSync(
    path,
    Uint8Array.from({ length: 10 }, (_, i) => i),
  );
  const file = new ByteFile(path);
  assert.deepEqual([...file.read(3, 4)], [3, 4, 5, 6]);
  assert.deepEqual([...file.read(10, 0)], []);
  for (const [offset, length] of [
    [8, 3],
    [11, 0],
    [-1, 2],
    [0, -1],
    [0.5, 1],
    [2 ** 53, 1],
    [0, Number.NaN],
  ]) {
    assert.throws(() => file.read(offset, length), { code: "bad-model", message: /lie outside its 10 bytes/ });
  }
  truncateSync(path, 5);
  assert.throws(() => file.read(3, 4), { code: "bad-model", message: /it became shorter while it was read/ });
  file.close();
  file.close();
  assert.throws(() => file.read(0, 1), /is closed/);
});

test("a cursor reads across the end of its window", (t) => {
  const path = join(temporaryFolder(t), "file");
  const size = 3 << 18;
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; at += 4) bytes.writeUInt32LE(at, at);
  writeFileSync(path, bytes);
  const file = new ByteFile(path);
  t.after(() => file.close());
  const cursor = new ByteCursor(file, (1 << 18) - 2);
  assert.deepEqual([...cursor.bytes(8)], [...bytes.subarray((1 << 18) - 2, (1 << 18) + 6)]);
  cursor.skip(2);
  for (let at = (1 << 18) + 8; at < size; at += 4) assert.equal(cursor.u32(), at);
  assert.equal(cursor.remaining, 0);
  assert.throws(() => cursor.u8(), { code: "bad-model" });
  const start = new ByteCursor(file);
  assert.ok(Buffer.from(start.bytes(size)).equals(bytes));
});

test("a named pipe is refused, not waited for", { skip: process.platform === "win32" && "Windows has none" }, (t) => {
  const path = join(temporaryFolder(t), "pipe");
  execFileSync("mkfifo", [path]);
  assert.throws(() => openModelFile(path), { code: "bad-input", message: /is not a regular file; give a model file/ });
});

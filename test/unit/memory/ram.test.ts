import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { crc32 } from "node:zlib";
import { sampleText, shape, smallMemory, temporaryFolder } from "./small-memory.ts";

setFlagsFromString("--expose_gc");
const collectGarbage = runInNewContext("gc") as () => void;

const MIB = 2 ** 20;
/** Of 1,024 tokens each; 10,000 are a repository of ten million. */
const N_COPIES = Number(process.env.LONGSIGHT_COPIES ?? 1000);

/** A segment's bytes under another name: the name and the checksum of what stays in RAM change. */
function renamed(bytes: Buffer, id: string): Buffer {
  const end = bytes.length - 4;
  const index = bytes.subarray(end - bytes.readUInt32LE(28), end);
  bytes.set(Buffer.from(id, "hex"), 32);
  bytes.writeUInt32LE(crc32(index, crc32(bytes.subarray(0, 64))), end);
  return bytes;
}

test("RAM holds the landmarks, the lists of tokens and a bounded working set, whatever is read", async (context) => {
  const dir = temporaryFolder(context);
  const files = new Map([["F/0.TS", sampleText(1, 64 * shape.blockSize)]]);
  const { memory, store, encoder, job } = await smallMemory(dir, files);
  await job().run();
  // The one real segment is stored again under other names: encoding so much would take a while.
  const [{ segment }] = memory.encoded();
  const copies = Array.from({ length: N_COPIES }, (_, i) => ({
    path: `C/${i}.TS`,
    contentHash: `copy ${i}`,
    sizeBytes: 1,
  }));
  for (const { contentHash } of copies) {
    const id = store.idOf(contentHash);
    mkdirSync(join(dir, id.slice(0, 2)), { recursive: true });
    writeFileSync(join(dir, store.nameOf(id)), renamed(readFileSync(segment.path), id));
  }
  const used = async () => {
    // Buffers are freed on another thread, some time after they were found to be garbage.
    for (let i = 0; i < 3; i++) {
      collectGarbage();
      await delay(50);
    }
    return process.memoryUsage().arrayBuffers;
  };
  const before = await used();
  await memory.update(copies);
  const nTokens = memory.nTokens;
  assert.ok(nTokens > N_COPIES * 64 * shape.blockSize);
  const opening = (await used()) - before;
  // Landmarks as floats and tokens' blocks with room to grow, three numbers a block, and what a typed array costs.
  const perBlock = shape.routeSize * 4 * 1.3 + shape.blockSize * 4 * 1.5 + 12;
  assert.ok(opening < memory.nBlocks * perBlock + N_COPIES * 500, `opened: ${opening} bytes`);
  for (const block of memory.blocks()) memory.read(block);
  const stored = nTokens * (2 * shape.headSize + 4);
  assert.ok(stored > 2 * 16 * MIB && stored < memory.bytesRead + MIB);
  const reading = (await used()) - before - opening;
  assert.ok(reading < 17 * MIB, `working set: ${reading} bytes of ${stored}`);
  await encoder.close();
});

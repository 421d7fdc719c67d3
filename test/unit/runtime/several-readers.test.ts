import assert from "node:assert/strict";
import { test } from "node:test";
import { openHybrid } from "../../../engine/models/hybrid.ts";
import { defaultModelDir } from "../../../engine/paths.ts";
import { HybridDecoder } from "../../../engine/runtime/hybrid.ts";
import { HybridReader } from "../../../engine/runtime/hybrid-reader.ts";
import type { DraftReader } from "../../../engine/runtime/reader.ts";
import { SeveralReaders } from "../../../engine/runtime/several-readers.ts";

/** A reader that only notes what it is asked to read. */
function noting() {
  const read: string[] = [];
  let n = 0;
  const make = (): DraftReader => {
    const name = n++;
    const readDraft = async (ids: readonly number[]) => {
      read.push(`${name}: ${ids.join(" ")}`);
      return [new Float32Array()];
    };
    return { contextLength: 9, readText: async (ids) => (await readDraft(ids))[0], readDraft };
  };
  return { make, read };
}

test("texts that are read in turn stay with their readers; the one left longest gives way", async () => {
  const { make, read } = noting();
  const readers = new SeveralReaders(make, 2);
  assert.equal(readers.contextLength, 9);
  const texts = [
    [1, 2, 3, 4],
    [5, 6, 7, 8],
    [1, 2, 3, 4, 9],
    [5, 6, 7, 7],
    [8, 8, 8, 8],
    [5, 6, 7, 7, 1],
  ];
  for (const ids of texts) await readers.readText(ids);
  const [one, two] = [read[0][0], read[1][0]];
  assert.notEqual(one, two);
  assert.deepEqual(
    read.map(([name]) => name),
    [one, two, one, two, one, two],
  );
});

test("texts in turn give what each gives alone", async (context) => {
  const decoder = await HybridDecoder.open(openHybrid(defaultModelDir), { nThreads: 1 });
  context.after(() => decoder.close());
  const text = (seed: number) => Array.from({ length: 150 }, (_, i) => 64 + ((i * seed) % 3000));
  const [first, second] = [text(7919), text(104729)];
  const readers = new SeveralReaders(() => new HybridReader(decoder), 2);
  for (let n = 100; n <= 150; n += 25) {
    for (const ids of [first.slice(0, n), second.slice(0, n)]) {
      const inTurn = [...(await readers.readText(ids))];
      const alone = await new HybridReader(decoder).readText(ids);
      for (const [i, logit] of inTurn.entries()) assert.ok(Math.abs(logit - alone[i]) < 0.15, `${logit} ${alone[i]}`);
    }
  }
});

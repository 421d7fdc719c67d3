import assert from "node:assert/strict";
import { test } from "node:test";
import { EmbeddingRows } from "../../../engine/models/embedding-rows.ts";
import { dequantise } from "../../../engine/reference.ts";
import { decoderFixtures, openForTest } from "../decoder-golden.ts";

for (const setting of ["f32", "int8", "int4"] as const) {
  test(`${setting}: single rows on disk and in memory are those of the whole matrix`, async () => {
    const { config, weights } = await openForTest(decoderFixtures[0].path, setting);
    const onDisk = weights.matrix("token_embd");
    const inMemory =
      onDisk.kind === "f32"
        ? { ...onDisk, dataAt: undefined }
        : { ...onDisk, packedAt: undefined, scalesAt: undefined };
    const whole = dequantise(onDisk);
    const ids = [5, 0, config.vocabSize - 1, 5];
    const expected = ids.flatMap((id) => [...whole.slice(id * config.hiddenSize, (id + 1) * config.hiddenSize)]);
    for (const matrix of [onDisk, inMemory]) {
      const rows = new EmbeddingRows(matrix);
      assert.deepEqual([...rows.read(ids)], [...Float32Array.from(expected)]);
      rows.close();
    }
  });
}

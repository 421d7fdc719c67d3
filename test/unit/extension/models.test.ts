import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import type { ModelReport } from "../../../engine/protocol.ts";
import type { CatalogueModel } from "../../../extension/models/catalogue.ts";
import { findModels } from "../../../extension/models/find.ts";
import { downloadForecast, forecastOf } from "../../../extension/models/forecast.ts";

suite("models on this machine", () => {
  test("GGUF files and safetensors folders are found, later parts and other files are not", async (context) => {
    const root = mkdtempSync(join(tmpdir(), "longsight-models-"));
    context.after(() => rmSync(root, { recursive: true, force: true }));
    const put = (path: string, size = 1) => {
      mkdirSync(join(root, path, ".."), { recursive: true });
      writeFileSync(join(root, path), "x".repeat(size));
    };
    put("b.gguf", 10);
    put("a/Big-00001-of-00002.gguf");
    put("a/Big-00002-of-00002.gguf");
    put("hf/config.json");
    put("hf/model-1.safetensors", 3);
    put("hf/model-2.safetensors", 4);
    put("half/model.safetensors");
    put("1/2/3/4/deep.gguf");
    put("readme.txt");
    const models = await findModels([root, join(root, "not-there")]);
    assert.deepEqual(
      models.map(({ name, sizeBytes }) => [name, sizeBytes]),
      [
        ["Big-00001-of-00002", 1],
        ["b", 10],
        ["hf", 7],
      ],
    );
  });

  test("the forecast counts weights, a conversation and the runtime, and disk where the weights are still to be converted", () => {
    const report = (cached: boolean): ModelReport =>
      ({
        estimatedMemory: { weightsBytes: 2 * 1024 ** 3, bytesPerToken: 1024 },
        conversion: { cached, targets: [{ sizeBytes: 5 }, { sizeBytes: 6 }] },
      }) as unknown as ModelReport;
    const memoryBytes = 2 * 1024 ** 3 + 4096 * 1024 + 220e6;
    const loadMs = (2 * 1024 ** 3) / 400e3;
    const first = { memoryBytes, diskBytes: 11, convertMs: 700, loadMs, fits: true };
    assert.deepEqual(forecastOf(report(false), 8 * 1024 ** 3, 700), first);
    const later = { memoryBytes, diskBytes: 0, convertMs: 0, loadMs, fits: false };
    assert.deepEqual(forecastOf(report(true), 2.5 * 1024 ** 3, 700), later);
    assert.equal(forecastOf({ estimatedMemory: null } as ModelReport, 1, 1), undefined);
  });

  test("the forecast of a download counts the file, its converted weights, a conversation and the runtime", () => {
    const model = { sizeBytes: 900, bytesPerToken: 2, quantisation: "Q4_0" } as CatalogueModel;
    const weightsBytes = 1000;
    const needed = { memoryBytes: weightsBytes + 4096 * 2 + 220e6, diskBytes: 900 + weightsBytes };
    assert.deepEqual(downloadForecast(model, 8 * 1024 ** 3), { ...needed, fits: true });
    assert.deepEqual(downloadForecast(model, 1024 ** 3), { ...needed, fits: false });
  });
});

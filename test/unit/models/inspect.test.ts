import assert from "node:assert/strict";
import { cpSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { LongsightError } from "../../../engine/errors.ts";
import { inspectModel } from "../../../engine/models/inspect.ts";
import { openModel } from "../../../engine/models/open-model.ts";
import { defaultModelDir } from "../../../engine/paths.ts";
import { configMetadata, gguf, text } from "./gguf-writer.ts";
import { SMALL, smallGguf, TINY, TOKENIZER, temporaryCache, writeSmallFolder } from "./small-model.ts";

test("a GGUF file: sizes, tokenizer, what its weights become and how far they are rounded", async (t) => {
  const folder = temporaryCache(t);
  const path = join(folder, "model.gguf");
  const bytes = smallGguf("Q6_K");
  writeFileSync(path, bytes);
  const before = await inspectModel(path);
  const { conversion, ...rest } = before;
  const nMatrixWeights = 2 * 258 * 256 + 256 * (2 * 256 + 2 * 128 + 3 * 256);
  const nVectorWeights = 3 * 256;
  const nBytes = nMatrixWeights + nMatrixWeights / 8 + 4 * nVectorWeights;
  assert.deepEqual(rest, {
    path,
    format: "gguf",
    architecture: "llama",
    fileBytes: bytes.length,
    nParameters: nMatrixWeights + nVectorWeights,
    tensorTypes: [
      { type: "Q6_K", nTensors: 9, sizeBytes: (nMatrixWeights / 256) * 210 },
      { type: "F32", nTensors: 3, sizeBytes: nVectorWeights * 4 },
    ],
    shape: {
      ...{ nLayers: 1, hiddenSize: 256, ffnSize: 256, nHeads: 4, nKvHeads: 2, headSize: 64 },
      ...{ vocabSize: 258, contextLength: 128 },
    },
    tokenizer: {
      kind: "byte-level BPE",
      nTokens: 258,
      hasChatTemplate: false,
      callsTools: false,
      fillsInTheMiddle: false,
    },
    estimatedMemory: { weightsBytes: nBytes, bytesPerToken: 2 * 2 * 64 * 4 },
    supported: true,
    reason: null,
  });
  assert.equal(conversion?.cached, false);
  assert.deepEqual(
    conversion?.targets.map(({ precision, nTensors, nRounded }) => [precision, nTensors, nRounded]),
    [
      ["float32", 3, 0],
      ["int8", 9, 9],
    ],
  );
  const { relativeError, worst } = conversion.targets[1];
  assert.ok(relativeError > 0.001 && relativeError < 0.01, `int8 rounds by ${relativeError}`);
  assert.ok(worst && worst.relativeError >= relativeError);

  (await openModel(path)).close();
  const after = await inspectModel(path);
  assert.deepEqual(after, { ...before, conversion: { ...conversion, cached: true } });
  assert.deepEqual(JSON.parse(JSON.stringify(after)), after);
});

test("a safetensors folder, and the default model's own folder", async (t) => {
  const folder = temporaryCache(t);
  writeSmallFolder(join(folder, "model"), { ...TINY, vocabSize: 300 });
  const report = await inspectModel(join(folder, "model"));
  assert.equal(report.format, "safetensors");
  assert.equal(report.tokenizer?.kind, "byte-level BPE");
  assert.equal(report.supported, true);

  const own = await inspectModel(defaultModelDir);
  assert.equal(own.format, "longsight-hybrid-2");
  assert.equal(own.architecture, "hybrid");
  assert.equal(own.supported, true);
  assert.equal(own.tokenizer?.fillsInTheMiddle, true);
  assert.equal(own.estimatedMemory?.weightsBytes, own.nParameters * 4);
});

test("a readable model that Longsight cannot run is reported with the reason and the remedy", async (t) => {
  const folder = temporaryCache(t);
  const path = join(folder, "model.gguf");
  const reasonOf = async (bytes: Buffer) => {
    writeFileSync(path, bytes);
    const report = await inspectModel(path);
    assert.equal(report.supported, false);
    return report;
  };
  const mamba = await reasonOf(gguf({ ...TOKENIZER, "general.architecture": text("mamba") }, []));
  assert.equal(mamba.architecture, "mamba");
  assert.equal(mamba.shape, null);
  assert.match(String(mamba.reason), /has the architecture "mamba"; choose a model of one of llama, qwen2, qwen3\.$/);
  const mute = await reasonOf(smallGguf("F32", TINY, {}));
  assert.equal(mute.tokenizer, null);
  assert.match(String(mute.reason), /has no tokenizer; choose a file that includes one\.$/);
  const few = await reasonOf(smallGguf("F32", { ...TINY, vocabSize: 200 }));
  assert.match(String(few.reason), /it has 258 tokens, the model 200/);
  const bare = await reasonOf(gguf({ ...TOKENIZER, ...configMetadata(SMALL) }, []));
  assert.match(String(bare.reason), /tensor token_embd.weight is missing/);

  const copy = join(folder, "default");
  cpSync(defaultModelDir, copy, { recursive: true });
  rmSync(join(copy, "tokenizer.json"));
  assert.match(String((await inspectModel(copy)).reason), /has no tokenizer; put tokenizer.json/);
});

test("measuring can be cancelled", async (t) => {
  const folder = temporaryCache(t);
  const path = join(folder, "model.gguf");
  writeFileSync(path, smallGguf("Q6_K"));
  const abort = new AbortController();
  const report = inspectModel(path, { signal: abort.signal, onProgress: () => abort.abort() });
  await assert.rejects(report, (error) => error instanceof LongsightError && error.code === "cancelled");
});

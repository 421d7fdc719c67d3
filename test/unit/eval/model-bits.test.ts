import assert from "node:assert/strict";
import { test } from "node:test";
import { CopyIndex } from "../../../engine/complete/copy-index.ts";
import { openHybrid } from "../../../engine/models/hybrid.ts";
import { loadTokenizerFolder } from "../../../engine/models/tokenizer/folder.ts";
import { defaultModelDir } from "../../../engine/paths.ts";
import { HybridDecoder } from "../../../engine/runtime/hybrid.ts";
import { bitsOf, copied, logProbabilities, logProbability, nBytesOf, windowOf } from "../../eval/model-bits.ts";

const tokenizer = loadTokenizerFolder(defaultModelDir);
const TEXT = Array.from({ length: 40 }, (_, i) => `export const value${i} = compute(${i * 7});`).join("\n");

test("the bits of a window are those of reading it token by token", async (context) => {
  const model = openHybrid(defaultModelDir);
  const decoder = await HybridDecoder.open(model, { nThreads: 1 });
  context.after(() => decoder.close());
  const window = windowOf(model.config, tokenizer, "src/a.ts", TEXT, 150);
  assert.equal(window.ids.length, 150);
  assert.equal(tokenizer.decode(window.ids.slice(window.nHeader)), `\n${TEXT}`.slice(0, nBytesOf(tokenizer, window)));
  const all = await logProbabilities(decoder, window);
  const state = decoder.start();
  await decoder.read(state, window.ids.slice(0, window.nHeader - 1));
  for (const [n, logP] of all.entries()) {
    const at = window.nHeader + n;
    const { logits } = await decoder.read(state, [window.ids[at - 1]]);
    assert.ok(Math.abs(logP - logProbability(logits, window.ids[at])) < 1e-3, `token ${n}`);
  }
  const proposals = copied(tokenizer, window, new CopyIndex());
  const bits = bitsOf(all, proposals, model.config.vocabSize);
  const sum = all.reduce((total, logP) => total - logP / Math.LN2, 0);
  assert.ok(Math.abs(bits.model - sum) < 1e-6);
  // Lines that repeat are what copying is for.
  assert.ok(bits.mixture < 0.8 * bits.model, `${bits.mixture} of ${bits.model}`);
});

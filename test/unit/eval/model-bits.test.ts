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
});

test("the mixture's bits are those of its probabilities", () => {
  const proposals = [
    { share: 0, isRight: false },
    { share: 0.75, isRight: true },
    { share: 0.5, isRight: false },
  ];
  const bits = bitsOf(Float64Array.of(Math.log(0.25), Math.log(0.5), Math.log(0.5)), proposals, 16);
  assert.ok(Math.abs(bits.model - 4) < 1e-9);
  assert.ok(Math.abs(bits.mixture - (2 - Math.log2(0.875) + 2)) < 1e-9);
  assert.ok(Math.abs(bits.copier - (4 - Math.log2(0.75 + 0.25 / 16) + 5)) < 1e-9);
});

test("what repeats is proposed rightly, from the own text before the run and from other files", () => {
  const { config } = openHybrid(defaultModelDir);
  const window = windowOf(config, tokenizer, "src/a.ts", `${TEXT}\n${TEXT}`, 2000);
  const rightShare = (repository: CopyIndex) => {
    const proposals = copied(tokenizer, window, repository);
    assert.equal(proposals.length, window.ids.length - window.nHeader);
    return proposals.filter(({ isRight }) => isRight).length / proposals.length;
  };
  const others = new CopyIndex();
  others.set("src/b.ts", new TextEncoder().encode(TEXT));
  const [own, both] = [rightShare(new CopyIndex()), rightShare(others)];
  assert.ok(own > 0.4 && both > 0.95, `${own} ${both}`);
});

/** llama.cpp's tokenizer test vectors. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { NAMES, skip, tokenizerOf, vectorsOf } from "./sources.ts";

for (const name of NAMES) {
  test(`${name}: all published test vectors`, { skip }, async () => {
    const tokenizer = await tokenizerOf(name);
    const vectors = vectorsOf(name);
    assert.ok(vectors.length >= 46);
    for (const { text, ids } of vectors) {
      assert.deepEqual(tokenizer.encode(text), ids, JSON.stringify(text));
      assert.equal(tokenizer.decode(ids), text);
    }
  });
}

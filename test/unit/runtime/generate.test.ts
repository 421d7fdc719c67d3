import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { loadTokenizerFolder } from "../../../engine/models/tokenizer/folder.ts";
import { DecoderReader } from "../../../engine/runtime/decoder-reader.ts";
import { type GenerateOptions, generate } from "../../../engine/runtime/generate.ts";
import type { TextReader } from "../../../engine/runtime/reader.ts";
import { decoderForTest, openForTest, storiesModels } from "../decoder-golden.ts";

const END = 256;

/** One token per byte, and one that ends the text. */
const bytes = {
  stopIds: [END],
  bytes: (id: number) => (id === END ? new Uint8Array() : Uint8Array.of(id)),
};

/** A model that says `answer`, byte by byte, behind a prompt of `nPrompt` tokens, and then ends. */
function saying(answer: string | Uint8Array, nPrompt: number, contextLength = 10_000): TextReader {
  const script = typeof answer === "string" ? new TextEncoder().encode(answer) : answer;
  return {
    contextLength,
    readText: async (ids, { signal } = {}) => {
      signal?.throwIfAborted();
      const logits = new Float32Array(END + 1);
      logits[script[ids.length - nPrompt] ?? END] = 1;
      return logits;
    },
  };
}

async function said(answer: string | Uint8Array, options: Partial<GenerateOptions> = {}) {
  const pieces: string[] = [];
  const onText = (piece: string) => pieces.push(piece);
  const generated = await generate(saying(answer, 3), bytes, [1, 2, 3], { maxTokens: 1000, onText, ...options });
  assert.equal(pieces.join(""), generated.text);
  return { ...generated, pieces };
}

test("text ends where the model ends it, at a stop text, or at maxTokens", async () => {
  const whole = await said("Hello.");
  assert.deepEqual([whole.text, whole.stoppedBy, whole.nTokens], ["Hello.", "model", 6]);
  const stopped = await said("one\ntwo\n\nthree", { stop: ["\n\n", "four"] });
  assert.deepEqual([stopped.text, stopped.stoppedBy], ["one\ntwo", "stop"]);
  const cut = await said("Hello.", { maxTokens: 4 });
  assert.deepEqual([cut.text, cut.stoppedBy, cut.nTokens], ["Hell", "length", 4]);
  const other = await said("Hello.", { stopIds: [".".charCodeAt(0)] });
  assert.deepEqual([other.text, other.stoppedBy], ["Hello", "model"]);
  assert.ok(whole.timingsMs.prompt >= 0 && whole.timingsMs.total >= whole.timingsMs.prompt);
});

test("what may become a stop text is held back, and given out when it does not", async () => {
  const { text, pieces } = await said("a<b<!", { stop: ["<|end|>"] });
  assert.equal(text, "a<b<!");
  assert.deepEqual(pieces, ["a", "<b", "<!"]);
  assert.deepEqual((await said("xaab", { stop: ["ab"] })).text, "xa");
  assert.deepEqual((await said("abc<|en", { stop: ["<|end|>"] })).text, "abc<|en");
});

test("no half characters, neither in pieces nor at the end", async () => {
  const { pieces } = await said("aé😀");
  assert.deepEqual(pieces, ["a", "é", "😀"]);
  assert.equal((await said("ab😀", { maxTokens: 4 })).text, "ab");
});

test("any answer, stop texts and piece sizes: the pieces are the answer up to its first stop text", async () => {
  const letters = fc.string({ unit: fc.constantFrom("a", "b", "é", "😀", "\n"), maxLength: 20 });
  const stops = fc.array(
    letters.filter((text) => text !== ""),
    { maxLength: 3 },
  );
  await fc.assert(
    fc.asyncProperty(letters, stops, async (answer, stop) => {
      const { text, pieces } = await said(answer, { stop });
      for (const piece of pieces) assert.ok(piece !== "" && piece.isWellFormed());
      // The stop text that is complete first ends the text.
      const ends = stop
        .map((s) => answer.indexOf(s) + s.length)
        .filter((end, i) => answer.includes(stop[i]) && end > 0);
      if (ends.length === 0) return assert.equal(text, answer);
      const end = Math.min(...ends);
      const starts = stop.filter((s) => answer.slice(0, end).includes(s)).map((s) => answer.indexOf(s));
      assert.equal(text, answer.slice(0, Math.min(...starts)));
    }),
  );
});

test("the model's context bounds the text", async () => {
  const generated = await generate(saying("Hello.", 3, 5), bytes, [1, 2, 3], { maxTokens: 100 });
  assert.deepEqual([generated.text, generated.stoppedBy], ["He", "length"]);
});

test("bad input is refused before anything is read", async () => {
  const never: TextReader = { contextLength: 4, readText: () => assert.fail("read") };
  const run = (ids: number[], options: GenerateOptions) => generate(never, bytes, ids, options);
  await assert.rejects(run([], { maxTokens: 1 }), { code: "bad-input", message: /empty/ });
  await assert.rejects(run([1, 2, 3, 4], { maxTokens: 1 }), { code: "bad-input", message: /4 tokens/ });
  for (const maxTokens of [0, -1, 1.5, Number.NaN]) {
    await assert.rejects(run([1], { maxTokens }), { code: "bad-input" });
  }
  await assert.rejects(run([1], { maxTokens: 1, stop: [""] }), { code: "bad-input" });
  await assert.rejects(run([1], { maxTokens: 1, stop: ["\ud83d"] }), { code: "bad-input" });
  await assert.rejects(run([1], { maxTokens: 1, topP: 7 }), { code: "bad-input" });
});

test("stories260K tells its golden story", storiesModels, async () => {
  const model = await openForTest(storiesModels.paths[0]);
  const reader = new DecoderReader(await decoderForTest(model), model.config);
  const tokenizer = loadTokenizerFolder(storiesModels.paths[1]);
  for (const { prompt, prompt_ids, greedy_ids, text } of storiesModels.cases()) {
    const ids = tokenizer.encode(prompt, { bos: true });
    assert.deepEqual(ids, prompt_ids);
    const generated = await generate(reader, tokenizer, ids, { maxTokens: greedy_ids.length - ids.length });
    // The golden text writes line breaks as the vocabulary does.
    assert.equal((prompt + generated.text).trim(), text.replaceAll("<0x0A>", "\n").trim());
  }
});

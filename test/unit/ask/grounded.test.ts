import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { citedNumbers, groundedPrompt, MarkFilter } from "../../../engine/ask/grounded.ts";
import type { Passage } from "../../../engine/ask/passage.ts";

const passages: Passage[] = [1, 2, 3].map((n) => ({
  ...{ file: `src/${n}.ts`, startLine: n, endLine: n + 1 },
  text: `line ${n}\n`.repeat(20),
}));
/** A model that counts a token for each character. */
const model = (contextTokens: number) => ({ contextTokens, countTokens: (text: string) => text.length });

test("the prompt numbers the passages, names their lines and ends with the question", () => {
  const { messages, nGiven } = groundedPrompt("Where is it?", passages, model(4000));
  assert.equal(nGiven, 3);
  assert.equal(messages[0].role, "system");
  assert.match(messages[1].content, /^\[1\] src\/1\.ts, lines 1 to 2\nline 1\n/);
  assert.match(messages[1].content, /\[3\] src\/3\.ts, lines 3 to 4\n/);
  assert.match(messages[1].content, /\nQuestion: Where is it\?$/);
});

test("a small model gets the first passages only, and a question that leaves no room is refused", () => {
  const whole = groundedPrompt("Where?", passages, model(4000)).messages.reduce(
    (n, { content }) => n + content.length,
    0,
  );
  const { nGiven, messages } = groundedPrompt("Where?", passages, model(whole + 512));
  assert.ok(nGiven >= 1 && nGiven < 3);
  assert.ok(!messages[1].content.includes("src/3.ts"));
  const tooLong = "x".repeat(100_000);
  assert.throws(() => groundedPrompt(tooLong, passages, model(4000)), /too long for this model; shorten it/);
});

/** What the filter lets through of a text given in pieces. */
function filtered(pieces: readonly string[], nGiven: number): string {
  const filter = new MarkFilter(nGiven);
  return pieces.map((piece) => filter.push(piece)).join("") + filter.end();
}

test("marks of passages that do not exist are dropped, lists of marks are taken apart", () => {
  assert.equal(filtered(["It splits [1] and joins [4]. Also [2, 9,3]."], 3), "It splits [1] and joins. Also [2][3].");
  assert.equal(filtered(["array[0] and a[i] and [x] stay"], 3), "array and a[i] and [x] stay");
  assert.equal(filtered(["ends open [1"], 3), "ends open [1");
});

test("how the text is cut into pieces changes nothing", () => {
  const text = fc.array(fc.constantFrom("word", " ", "[", "]", "1", "2", "7", ",", "\n", "[1]", " [3, 1]", "[99]"));
  fc.assert(
    fc.property(text, (pieces) => {
      const whole = pieces.join("");
      assert.equal(filtered(pieces, 3), filtered([whole], 3));
      assert.equal(filtered([...whole], 3), filtered([whole], 3));
    }),
  );
});

test("the numbers an answer cites, each once", () => {
  assert.deepEqual(citedNumbers("a [2][1] b [2]. c"), [2, 1]);
  assert.deepEqual(citedNumbers("none"), []);
});

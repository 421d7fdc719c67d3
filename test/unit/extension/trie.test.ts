import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TrieNode } from "../../../extension/completion/trie.ts";

test("along a text are the values of all its beginnings, and nothing is left of those taken away", () => {
  const word = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 6 });
  fc.assert(
    fc.property(fc.array(fc.tuple(word, fc.boolean())), word, (steps, text) => {
      const trie = new TrieNode<string>();
      const known = new Map<string, TrieNode<string>>();
      for (const [one, isAdded] of steps) {
        if (isAdded) {
          const node = trie.at(one);
          node.value = one;
          known.set(one, node);
        } else {
          const node = known.get(one);
          if (node) assert.equal(node.clear(), trie);
          known.delete(one);
        }
      }
      const expected = [...known.keys()].filter((one) => text.startsWith(one)).sort((a, b) => a.length - b.length);
      assert.deepEqual([...trie.along(text)], expected);
      assert.equal(trie.isEmpty, known.size === 0);
    }),
    { numRuns: 500 },
  );
});

test("a text longer than any stack is one node", () => {
  const trie = new TrieNode<number>();
  const text = "ab".repeat(500_000);
  trie.at(text).value = 1;
  assert.deepEqual([...trie.along(`${text}c`)], [1]);
});

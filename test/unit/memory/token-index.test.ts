import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TokenIndex } from "../../../engine/memory/token-index.ts";

const BLOCK_SIZE = 4;

/** What the index is to find: every block scored by definition. */
function expected(blocks: ReadonlyMap<number, readonly number[]>, tokens: readonly number[], k: number) {
  const share = new Map<number, number>();
  for (const token of new Set(tokens)) {
    const holders = [...blocks].filter(([, ids]) => ids.includes(token)).map(([block]) => block);
    if (holders.length > Math.max(1, blocks.size / 4)) continue;
    for (const block of holders) {
      share.set(block, (share.get(block) ?? 0) + Math.log((1 + blocks.size) / (1 + holders.length)));
    }
  }
  return [...share]
    .filter(([, score]) => score > 0)
    .sort(([a, x], [b, y]) => y - x || a - b)
    .slice(0, k);
}

const ids = fc.array(fc.nat(30), { minLength: 1, maxLength: 40 });
const change = fc.oneof(fc.record({ add: ids }), fc.record({ remove: fc.nat() }));

test("the blocks that share the rarest tokens are found while files come and go and numbers are used again", () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 30 }), fc.array(fc.nat(30), { maxLength: 12 }), (changes, tokens) => {
      const index = new TokenIndex();
      const blocks = new Map<number, number[]>();
      const files: { first: number; n: number }[] = [];
      const free: { first: number; n: number }[] = [];
      let end = 0;
      for (const one of changes) {
        if ("add" in one) {
          const n = Math.ceil(one.add.length / BLOCK_SIZE);
          const gap = free.findIndex((range) => range.n === n);
          const first = gap < 0 ? end : free.splice(gap, 1)[0].first;
          if (first === end) end += n;
          index.add(first, one.add, BLOCK_SIZE);
          files.push({ first, n });
          for (let i = 0; i < n; i++) blocks.set(first + i, one.add.slice(i * BLOCK_SIZE, (i + 1) * BLOCK_SIZE));
        } else if (files.length > 0) {
          const [range] = files.splice(one.remove % files.length, 1);
          index.remove(range.first, range.n);
          free.push(range);
          for (let i = 0; i < range.n; i++) blocks.delete(range.first + i);
        }
      }
      assert.equal(index.nBlocks, blocks.size);
      const found = index.top(tokens, 5);
      const right = expected(blocks, tokens, 5);
      // Scores are kept in float32, so that those that are nearly equal may change places.
      assert.equal(found.length, right.length);
      for (const [i, { score }] of found.entries()) assert.ok(Math.abs(score - right[i][1]) < 1e-4);
      const allowed = index.top(tokens, 5, (block) => block % 2 === 0);
      assert.ok(allowed.every(({ block }) => block % 2 === 0 && blocks.has(block)));
    }),
  );
});

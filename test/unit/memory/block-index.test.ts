import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ExactIndex } from "../../../engine/memory/block-index.ts";

const ROUTE_SIZE = 3;

/** Landmarks from small whole numbers, so that ties are common. */
const landmarks = fc
  .array(fc.integer({ min: -2, max: 2 }), { minLength: 1, maxLength: 5 })
  .map((values) => Float32Array.from(values.flatMap((value) => [value, 1 - value, value * value])));
const change = fc.oneof(fc.record({ add: landmarks }), fc.record({ remove: fc.nat() }));

test("the best blocks are those of a full sort, whatever was added and removed", () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 30 }), fc.nat(6), fc.nat(3), (changes, k, forbidden) => {
      const index = new ExactIndex(ROUTE_SIZE);
      const present: { first: number; rows: Float32Array }[] = [];
      for (const one of changes) {
        if ("add" in one) {
          present.push({ first: index.add(one.add), rows: one.add });
        } else if (present.length > 0) {
          const [{ first, rows }] = present.splice(one.remove % present.length, 1);
          index.remove(first, rows.length / ROUTE_SIZE);
        }
      }
      const query = Float32Array.of(1, -0.5, 2);
      const all = present.flatMap(({ first, rows }) =>
        Array.from({ length: rows.length / ROUTE_SIZE }, (_, i) => ({
          block: first + i,
          score: query.reduce((sum, x, j) => sum + x * rows[i * ROUTE_SIZE + j], 0),
        })),
      );
      assert.equal(index.nBlocks, all.length);
      assert.equal(new Set(all.map(({ block }) => block)).size, all.length);
      const allowed = (block: number) => block % 4 !== forbidden;
      const expected = all
        .filter(({ block }) => allowed(block))
        .sort((a, b) => b.score - a.score || a.block - b.block)
        .slice(0, k);
      assert.deepEqual(index.top(query, k, allowed), expected);
      const sum = all.filter(({ block }) => allowed(block)).reduce((sum, { score }) => sum + Math.exp(score - 1), 0);
      assert.ok(Math.abs(index.sumExp(query, 1, allowed) - sum) <= 1e-9 * sum);
    }),
  );
});

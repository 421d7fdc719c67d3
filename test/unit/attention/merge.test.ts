import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { finished, joined, merge, nothing, type Partial, shares, single } from "../../../engine/attention/merge.ts";
import { GraphBuilder } from "../../../engine/onnx/graph.ts";
import { createSession, Tensor } from "../../../engine/runtime/session.ts";
import { assertClose } from "../close.ts";

const SIZE = 3;
const number = (limit: number) => fc.double({ min: -limit, max: limit, noNaN: true });
const key = fc.record({ score: number(1e4), value: fc.tuple(number(9), number(9), number(9)) });
type Key = { score: number; value: [number, number, number] };

const leaf = ({ score, value }: Key) => single(score, Float64Array.from(value));
const all = (keys: readonly Key[]) => keys.map(leaf).reduce(merge, nothing(SIZE));

/** The softmax over all keys at once. */
function softmax(keys: readonly Key[]): number[] {
  const max = Math.max(...keys.map(({ score }) => score));
  const weights = keys.map(({ score }) => Math.exp(score - max));
  const sum = weights.reduce((a, b) => a + b, 0);
  return [0, 1, 2].map((i) => weights.reduce((mean, w, k) => mean + (w / sum) * keys[k].value[i], 0));
}

const same = (a: Partial, b: Partial) => {
  assert.equal(a.max, b.max);
  assertClose([a.denominator, ...a.numerator], [b.denominator, ...b.numerator], 1e-9, "partial");
};

test("any order and grouping of the keys gives one softmax", () => {
  fc.assert(
    fc.property(fc.array(key, { minLength: 1, maxLength: 12 }), fc.nat(), fc.nat(), (keys, a, b) => {
      const [first, second] = [a % keys.length, b % keys.length].sort((x, y) => x - y);
      const [x, y, z] = [keys.slice(0, first), keys.slice(first, second), keys.slice(second)].map(all);
      assertClose(finished(merge(merge(x, y), z)), softmax(keys), 1e-9, "softmax");
      same(merge(merge(x, y), z), merge(x, merge(y, z)));
      same(merge(x, y), merge(y, x));
      const shifted = all(keys.map(({ score, value }) => ({ score: score + 100, value })));
      assertClose(finished(shifted), softmax(keys), 1e-9, "shifted");
    }),
  );
});

test("what each score gets is what its key adds to the merge, and is one in sum", () => {
  fc.assert(
    fc.property(fc.array(key, { minLength: 1, maxLength: 12 }), (keys) => {
      const got = shares(keys.map(({ score }) => score));
      const mixed = [0, 1, 2].map((i) => got.reduce((sum, share, k) => sum + share * keys[k].value[i], 0));
      assertClose(finished(all(keys)), mixed, 1e-9, "shares");
      assertClose([got.reduce((a, b) => a + b)], [1], 1e-12, "sum");
    }),
  );
  assert.deepEqual(shares([]), []);
});

test("no keys are the identity, and attend to nothing", () => {
  const some = all([{ score: 2, value: [1, 2, 3] }]);
  same(merge(nothing(SIZE), some), some);
  same(merge(some, nothing(SIZE)), some);
  assert.deepEqual([...finished(merge(nothing(SIZE), nothing(SIZE)))], [0, 0, 0]);
});

test("a key that is in two parts counts twice: parts must be disjoint", () => {
  const [a, b] = [leaf({ score: 1, value: [1, 0, 0] }), leaf({ score: 1, value: [0, 1, 0] })];
  assert.notDeepEqual(finished(merge(merge(a, b), b)), finished(merge(a, b)));
});

test("the graph's merge equals the triples'", async () => {
  const graph = new GraphBuilder();
  const part = (name: string) => ({
    scores: graph.input(`${name}.scores`, "float32", [1, 1, `${name}.n`]),
    values: graph.input(`${name}.values`, "float32", [1, `${name}.n`, SIZE]),
  });
  const { mixed } = joined(graph, ["a", "b", "c"].map(part), graph.input("sizes", "int64", [3]));
  const [out] = graph.nodes("Identity", [mixed], ["out"]);
  graph.output(out, "float32", [1, 1, SIZE]);
  const session = await createSession(graph.build(), { nThreads: 1 });
  const keys = fc.array(key, { minLength: 1, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(keys, keys, keys, async (...parts) => {
      const feeds: Record<string, Tensor> = {
        sizes: new Tensor(
          "int64",
          BigInt64Array.from(parts, ({ length }) => BigInt(length)),
          [3],
        ),
      };
      for (const [i, name] of ["a", "b", "c"].entries()) {
        const n = parts[i].length;
        const scores = Float32Array.from(parts[i], ({ score }) => score / 100);
        feeds[`${name}.scores`] = new Tensor("float32", scores, [1, 1, n]);
        feeds[`${name}.values`] = new Tensor("float32", Float32Array.from(parts[i].flatMap(({ value }) => value)), [
          1,
          n,
          SIZE,
        ]);
      }
      const { out } = await session.run(feeds);
      const rounded = parts.flat().map(({ score, value }) => ({ score: Math.fround(score / 100), value }));
      assertClose(out.data as Float32Array, finished(all(rounded)), 1e-3, "merge");
    }),
  );
  await session.release();
});

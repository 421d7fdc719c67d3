import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { calibrated, damped } from "../../../engine/attention/calibration.ts";
import { finished, merge, nothing, single } from "../../../engine/attention/merge.ts";
import { GraphBuilder } from "../../../engine/onnx/graph.ts";
import { createSession, Tensor } from "../../../engine/runtime/session.ts";
import { assertClose } from "../close.ts";

const SIZE = 3;
const number = (limit: number) => fc.double({ min: -limit, max: limit, noNaN: true });
const key = fc.record({ score: number(8), isSink: fc.boolean(), value: fc.tuple(number(9), number(9), number(9)) });
type Key = { score: number; isSink: boolean; value: [number, number, number] };
const keys = fc.array(key, { minLength: 1, maxLength: 12 });

/** The shares of a softmax. */
function sharesOf(row: readonly Key[]): number[] {
  const max = Math.max(...row.map(({ score }) => score));
  const weights = row.map(({ score }) => Math.exp(score - max));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}

const sinkShare = (row: readonly Key[], shares: readonly number[]) =>
  shares.reduce((sum, share, i) => sum + (row[i].isSink ? share : 0), 0);

/** Share by share, as the paper has it. */
function byShares(row: readonly Key[], keep: number): number[] {
  const shares = sharesOf(row);
  const sum = sinkShare(row, shares);
  if (1 - sum < 1e-6) return shares;
  return shares.map((share, i) => (row[i].isSink ? keep * share : share * (1 + ((1 - keep) * sum) / (1 - sum))));
}

const partial = (row: readonly Key[]) =>
  row.map(({ score, value }) => single(score, Float64Array.from(value))).reduce(merge, nothing(SIZE));
const merged = (row: readonly Key[], keep: number) =>
  damped(partial(row.filter(({ isSink }) => isSink)), partial(row.filter(({ isSink }) => !isSink)), keep);
const mixed = (row: readonly Key[], shares: readonly number[]) =>
  [0, 1, 2].map((i) => shares.reduce((sum, share, k) => sum + share * row[k].value[i], 0));

test("joining damped sinks equals damping share by share, and taking a part of the sinks' output away", () => {
  fc.assert(
    fc.property(keys, fc.double({ min: 0.01, max: 1, noNaN: true }), (row, keep) => {
      const actual = merged(row, keep);
      assertClose(actual, mixed(row, byShares(row, keep)), 1e-10, "shares");
      const shares = sharesOf(row);
      const sum = sinkShare(row, shares);
      if (1 - sum < 1e-6) return;
      const grow = (1 - keep * sum) / (1 - sum);
      const ofSinks = mixed(row, shares.map((share, i) => (row[i].isSink ? share : 0))); // biome-ignore format: one row
      const expected = mixed(row, shares).map((value, i) => grow * value - (grow - keep) * ofSinks[i]);
      assertClose(actual, expected, 1e-9, "output");
    }),
  );
});

test("no sinks, sinks that keep everything and sinks that hold everything change nothing", () => {
  fc.assert(
    fc.property(keys, (row) => {
      const plain = row.map((one) => ({ ...one, isSink: false }));
      assert.deepEqual(merged(plain, 0.4), finished(partial(plain)));
      assertClose(merged(row, 1), mixed(row, sharesOf(row)), 1e-10, "keeps all");
      const all = row.map((one) => ({ ...one, isSink: true }));
      assert.deepEqual(merged(all, 0.4), finished(partial(all)));
    }),
  );
  const row: Key[] = [
    { score: 60, isSink: true, value: [1, 2, 3] },
    { score: 0, isSink: false, value: [9, 9, 9] },
  ];
  assertClose(merged(row, 0.4), [1, 2, 3], 1e-9, "nothing is left to others");
});

const N_PAST = 5;
const N_OWN = 2;
const N_HEADS = 2;

/** The graph's damping of one query of each head: rows of N_PAST + N_OWN keys, of which the earlier ones may be sinks. */
async function inGraph(shares: Float32Array, sinks: readonly number[], losses: readonly number[]) {
  const graph = new GraphBuilder();
  const inputs = ["past", "own"].map((name) => graph.input(name, "float32", [N_HEADS, 1, `${name}.n`]));
  const sinksInput = graph.input("sinks", "float32", [1, 1, "past.n"]);
  const loss = graph.weight("loss", "float32", [N_HEADS, 1, 1], Float32Array.from(losses));
  const outputs = calibrated(graph, inputs, { sinks: sinksInput, loss });
  for (const [i, name] of ["newPast", "newOwn"].entries()) {
    graph.output(graph.nodes("Identity", [outputs[i]], [name])[0], "float32", [N_HEADS, 1, `${name}.n`]);
  }
  const session = await createSession(graph.build(), { nThreads: 1 });
  const cut = (from: number, to: number) =>
    Float32Array.from([0, 1].flatMap((head) => [...shares.slice(head * 7 + from, head * 7 + to)]));
  const out = await session.run({
    past: new Tensor("float32", cut(0, N_PAST), [N_HEADS, 1, N_PAST]),
    own: new Tensor("float32", cut(N_PAST, 7), [N_HEADS, 1, N_OWN]),
    sinks: new Tensor("float32", Float32Array.from(sinks), [1, 1, N_PAST]),
  });
  await session.release();
  const [past, own] = [out.newPast.data as Float32Array, out.newOwn.data as Float32Array];
  return [0, 1].map((head) => [
    ...past.slice(head * N_PAST, (head + 1) * N_PAST),
    ...own.slice(head * N_OWN, (head + 1) * N_OWN),
  ]);
}

const rows: Key[][] = [0, 1].map((head) =>
  Array.from({ length: N_PAST + N_OWN }, (_, i) => ({
    score: Math.sin(head * 3 + i * 1.7) * 2,
    isSink: i === 1 || i === 3,
    value: [0, 0, 0],
  })),
);
const SHARES = Float32Array.from(rows.flatMap(sharesOf));

test("a graph damps each head's sinks by the head's own loss", async () => {
  const actual = await inGraph(SHARES, [0, 1, 0, 1, 0], [0.6, 0]);
  assertClose(actual[0], byShares(rows[0], 0.4), 1e-6, "head 0");
  assert.deepEqual(actual[1], [...SHARES.slice(7)], "a head that damps nothing is left alone to the last bit");
  assertClose([actual[0].reduce((a, b) => a + b, 0)], [1], 1e-6, "sum");
  assert.ok(actual.flat().every((share) => share >= 0));
  const before = sinkShare(rows[0], sharesOf(rows[0]));
  assertClose([sinkShare(rows[0], actual[0])], [0.4 * before], 1e-6, "sinks' share");
  assertClose([actual[0][1] / actual[0][3]], [SHARES[1] / SHARES[3]], 1e-5, "two sinks");
  assertClose([actual[0][2] / actual[0][6]], [SHARES[2] / SHARES[6]], 1e-5, "two others");
});

test("a graph without sinks, or where sinks hold everything, changes no bit", async () => {
  assert.deepEqual((await inGraph(SHARES, [0, 0, 0, 0, 0], [0.6, 0.6])).flat(), [...SHARES]);
  const full = Float32Array.of(0, 1, 0, 0, 0, 0, 0, 0, 0.5, 0, 0.5, 0, 0, 0);
  assert.deepEqual((await inGraph(full, [0, 1, 0, 1, 0], [0.6, 0.6])).flat(), [...full]);
});

test("damping twice damps more", async () => {
  const once = await inGraph(SHARES, [0, 1, 0, 1, 0], [0.6, 0.6]);
  const twice = await inGraph(Float32Array.from(once.flat()), [0, 1, 0, 1, 0], [0.6, 0.6]);
  const before = sinkShare(rows[0], sharesOf(rows[0]));
  assertClose([sinkShare(rows[0], twice[0])], [0.16 * before], 1e-6, "sinks' share");
});

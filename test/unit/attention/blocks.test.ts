import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseByBounds, chooseByMeans, chooseByShares } from "../../../engine/attention/blocks.ts";
import { BLOCK_TOKENS } from "../../../engine/attention/plan.ts";
import { GraphBuilder, type Value } from "../../../engine/onnx/graph.ts";
import { createSession, Tensor } from "../../../engine/runtime/session.ts";

const heads = { nHeads: 4, nKvHeads: 2, headSize: 8 };
const N_BLOCKS = 6;
const random = (n: number, seed: number) =>
  Float32Array.from({ length: n }, (_, i) => Math.sin(seed + i * 12.9898) * 2);

/** Runs a way of choosing `count` blocks; `build` gets the inputs that it declares. */
async function chosen(
  build: (graph: GraphBuilder, inputs: { preference: Value; count: Value }) => Value,
  feeds: Record<string, Tensor>,
  preference: number[],
  count: number,
): Promise<number[]> {
  const graph = new GraphBuilder();
  const inputs = {
    preference: graph.input("preference", "float32", [N_BLOCKS]),
    count: graph.input("count", "int64", [1]),
  };
  const [out] = graph.nodes("Identity", [build(graph, inputs)], ["out"]);
  graph.output(out, "int64", ["count"]);
  const session = await createSession(graph.build(), { nThreads: 1 });
  const result = await session.run({
    ...feeds,
    preference: new Tensor("float32", Float32Array.from(preference), [N_BLOCKS]),
    count: new Tensor("int64", BigInt64Array.of(BigInt(count)), [1]),
  });
  await session.release();
  return Array.from(result.out.data as BigInt64Array, Number);
}

/** Block indices by falling score. */
const ranked = (scores: number[]) => scores.map((_, i) => i).sort((a, b) => scores[b] - scores[a]);

const NONE = new Array(N_BLOCKS).fill(0);

test("by shares: the block to which any query head gives most", async () => {
  const shares = random(4 * N_BLOCKS * BLOCK_TOKENS, 1).map(Math.abs);
  const scores = NONE.map((_, block) =>
    Math.max(
      ...[0, 1, 2, 3].map((head) => {
        const from = (head * N_BLOCKS + block) * BLOCK_TOKENS;
        return shares.subarray(from, from + BLOCK_TOKENS).reduce((sum, share) => sum + share, 0);
      }),
    ),
  );
  const feeds = { shares: new Tensor("float32", shares, [2, 2, N_BLOCKS * BLOCK_TOKENS]) };
  const build = (graph: GraphBuilder, inputs: { preference: Value; count: Value }) =>
    chooseByShares(graph, graph.input("shares", "float32", [2, 2, "keys"]), inputs);
  assert.deepEqual(await chosen(build, feeds, NONE, 4), ranked(scores).slice(0, 4));
});

test("by means: as if each block were one key; preferred blocks come first, empty ones last", async () => {
  const [q, means] = [random(heads.nHeads * heads.headSize, 2), random(2 * N_BLOCKS * heads.headSize, 3)];
  const scores: number[] = NONE.slice();
  for (let head = 0; head < heads.nHeads; head++) {
    const exps = NONE.map((_, block) => {
      let dot = 0;
      for (let i = 0; i < heads.headSize; i++) {
        dot += q[head * heads.headSize + i] * means[((head >> 1) * N_BLOCKS + block) * heads.headSize + i];
      }
      return Math.exp(dot / Math.sqrt(heads.headSize));
    });
    const sum = exps.reduce((a, b) => a + b, 0);
    exps.forEach((e, block) => {
      scores[block] = Math.max(scores[block], e / sum);
    });
  }
  const feeds = {
    q: new Tensor("float32", q, [1, 1, q.length]),
    means: new Tensor("float32", means, [2, N_BLOCKS, heads.headSize]),
  };
  const build = (graph: GraphBuilder, inputs: { preference: Value; count: Value }) =>
    chooseByMeans(
      graph,
      graph.input("q", "float32", [1, 1, q.length]),
      graph.input("means", "float32", [2, N_BLOCKS, heads.headSize]),
      inputs,
      heads,
    );
  assert.deepEqual(await chosen(build, feeds, NONE, N_BLOCKS), ranked(scores));
  const order = ranked(scores);
  const preference = NONE.slice();
  preference[order[5]] = 2;
  preference[order[0]] = -2;
  assert.deepEqual(await chosen(build, feeds, preference, 6), [order[5], ...order.slice(1, 5), order[0]]);
});

test("by bounds: no key of a block scores more, and the largest that one can score decides", async () => {
  const q = random(heads.nHeads * heads.headSize, 4);
  const keys = random(2 * N_BLOCKS * BLOCK_TOKENS * heads.headSize, 5);
  const [smallest, largest] = [Math.min, Math.max].map((pick) =>
    Float32Array.from({ length: 2 * N_BLOCKS * heads.headSize }, (_, i) => {
      const [row, c] = [Math.floor(i / heads.headSize), i % heads.headSize];
      const channel = Array.from(
        { length: BLOCK_TOKENS },
        (_, t) => keys[(row * BLOCK_TOKENS + t) * heads.headSize + c],
      );
      return pick(...channel);
    }),
  );
  const scores: number[] = NONE.slice();
  for (let head = 0; head < heads.nHeads; head++) {
    const exps = NONE.map((_, block) => {
      const row = (head >> 1) * N_BLOCKS + block;
      const query = (c: number) => q[head * heads.headSize + c];
      let bound = 0;
      for (let c = 0; c < heads.headSize; c++) {
        const at = row * heads.headSize + c;
        bound += Math.max(query(c) * smallest[at], query(c) * largest[at]);
      }
      for (let token = 0; token < BLOCK_TOKENS; token++) {
        let dot = 0;
        for (let c = 0; c < heads.headSize; c++)
          dot += query(c) * keys[(row * BLOCK_TOKENS + token) * heads.headSize + c];
        assert.ok(dot <= bound + 1e-4);
      }
      return Math.exp(bound / Math.sqrt(heads.headSize));
    });
    const sum = exps.reduce((a, b) => a + b, 0);
    exps.forEach((e, block) => {
      scores[block] = Math.max(scores[block], e / sum);
    });
  }
  const shape = [2, N_BLOCKS, heads.headSize];
  const feeds = {
    q: new Tensor("float32", q, [1, 1, q.length]),
    smallest: new Tensor("float32", smallest, shape),
    largest: new Tensor("float32", largest, shape),
  };
  const build = (graph: GraphBuilder, inputs: { preference: Value; count: Value }) =>
    chooseByBounds(
      graph,
      graph.input("q", "float32", [1, 1, q.length]),
      [graph.input("smallest", "float32", shape), graph.input("largest", "float32", shape)],
      inputs,
      heads,
    );
  assert.deepEqual(await chosen(build, feeds, NONE, 4), ranked(scores).slice(0, 4));
});

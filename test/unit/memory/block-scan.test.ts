import assert from "node:assert/strict";
import { test } from "node:test";
import { BlockScan, candidateOf } from "../../../engine/memory/block-scan.ts";
import { joinCodes, splitCodes } from "../../../engine/memory/key-planes.ts";
import { type QuantisedRows, quantiseRows } from "../../../engine/runtime/hybrid-memory.ts";

const N_HEADS = 3;
const HEAD_SIZE = 8;
const N_BLOCKS = 20;

/** Numbers of a normal distribution, the same for the same seed. */
function normal(n: number, seed: number): Float32Array {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 1) / 2 ** 32;
  };
  return Float32Array.from({ length: n }, () => Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next()));
}

const rough = ({ values, scales }: QuantisedRows): QuantisedRows => ({
  values: joinCodes(splitCodes(values).high, undefined, values.length),
  scales,
});

/** Blocks of 5 or 6 tokens, and the queries. */
function example(seed: number, size: number) {
  const exact = Array.from({ length: N_BLOCKS }, (_, i) =>
    quantiseRows(normal((5 + (i % 2)) * HEAD_SIZE, 100 * seed + i), HEAD_SIZE),
  );
  const biases = exact.map((_, i) => normal(N_HEADS, 7000 + 100 * seed + i));
  const queries = normal(N_HEADS * HEAD_SIZE, seed + 9000).map((x) => size * x);
  return { exact, biases, queries };
}

/** The shares of all tokens of some blocks, head after head: plain loops. */
function attention(queries: Float32Array, blocks: readonly QuantisedRows[], biases: readonly Float32Array[]) {
  return Array.from({ length: N_HEADS }, (_, head) => {
    const scores = blocks.map(({ values, scales }, block) =>
      Array.from(scales, (scale, token) => {
        let dot = biases[block][head];
        for (let c = 0; c < HEAD_SIZE; c++)
          dot += queries[head * HEAD_SIZE + c] * values[token * HEAD_SIZE + c] * scale;
        return Math.exp(dot);
      }),
    );
    const sum = scores.flat().reduce((a, b) => a + b);
    return scores.map((block) => block.map((weight) => weight / sum));
  });
}

test("blocks come in the order of their shares in the attention to all candidates", () => {
  for (const seed of [1, 2, 3]) {
    const { exact, biases, queries } = example(seed, 0.5);
    const candidates = exact.map((keys, i) => candidateOf(keys, biases[i]));
    const shares = attention(queries, exact, biases);
    const pooled = exact.map((_, block) =>
      shares.reduce((sum, ofHead) => sum + ofHead[block].reduce((a, b) => a + b), 0),
    );
    const order = [...pooled.keys()].sort((a, b) => pooled[b] - pooled[a]);
    assert.deepEqual(new BlockScan().rank([queries], candidates, 8, 0).best, order.slice(0, 8));
    assert.deepEqual(new BlockScan().rank([queries], candidates, 100, 0).best, order);
  }
});

test("attention with the low planes that were asked for differs from the exact one within the tolerance", () => {
  let [nRough, nRead] = [0, 0];
  for (let seed = 1; seed <= 20; seed++) {
    for (const tolerance of [0, 0.05, 0.3, 2]) {
      const { exact, biases, queries } = example(seed, 0.3);
      const candidates = exact.map((keys, i) => candidateOf(rough(keys), biases[i]));
      const ranked = new BlockScan().rank([queries], candidates, 8, tolerance);
      const chosen = ranked.best.map((i) => exact[i]);
      const ofChosen = ranked.best.map((i) => biases[i]);
      const seen = ranked.best.map((i) => (ranked.rough.has(i) ? rough(exact[i]) : exact[i]));
      const [truth, found] = [attention(queries, chosen, ofChosen), attention(queries, seen, ofChosen)];
      for (let head = 0; head < N_HEADS; head++) {
        const [a, b] = [truth[head].flat(), found[head].flat()];
        const difference = a.reduce((sum, x, i) => sum + Math.abs(x - b[i]), 0);
        assert.ok(difference <= tolerance + 1e-6, `seed ${seed}, head ${head}: ${difference} above ${tolerance}`);
      }
      if (tolerance === 0) assert.equal(ranked.rough.size, 0);
      if (tolerance === 2) assert.equal(ranked.rough.size, 8);
      if (tolerance === 0.3) {
        nRough += ranked.rough.size;
        nRead += 8 - ranked.rough.size;
      }
    }
  }
  // The bound decides, not a constant.
  assert.ok(nRough > 0 && nRead > 0, `${nRough} ${nRead}`);
});

test("many candidates are searched as a tree: what has most attention is found", () => {
  const queries = normal(N_HEADS * HEAD_SIZE, 5);
  const biases = new Float32Array(N_HEADS);
  // Keys of a block lie around its centre, as neighbours' keys do; 6,400 of them.
  const keys = Array.from({ length: 100 }, (_, block) => {
    const centre = normal(HEAD_SIZE, 300 + block);
    const rows = normal(64 * HEAD_SIZE, 500 + block).map((x, i) => centre[i % HEAD_SIZE] + 0.2 * x);
    return quantiseRows(rows, HEAD_SIZE);
  });
  const candidates = keys.map((one) => candidateOf(one, biases));
  const shares = attention(
    queries,
    keys,
    candidates.map(() => biases),
  );
  const mass = (blocks: readonly number[]) =>
    shares.reduce((sum, ofHead) => sum + blocks.reduce((of, i) => of + ofHead[i].reduce((a, b) => a + b), 0), 0);
  const pooled = candidates.map((_, i) => mass([i]));
  const exact = [...pooled.keys()].sort((a, b) => pooled[b] - pooled[a]).slice(0, 8);
  const { best } = new BlockScan().rank([queries], candidates, 8, 0);
  assert.equal(new Set(best).size, 8);
  assert.ok(mass(best) >= 0.95 * mass(exact), `${mass(best)} of ${mass(exact)}`);
});

test("a text's next token is compared alone: what was compared for the ones before is known", () => {
  const { exact, biases, queries } = example(4, 0.5);
  const candidates = exact.map((keys, i) => candidateOf(keys, biases[i]));
  const others = [5, 6, 7].map((seed) => example(seed, 0.5).queries);
  const scan = new BlockScan();
  const first = scan.rank([queries, ...others.slice(0, 2)], candidates, 8, 0.05);
  // Changed behind its back: only what is not known yet shows it.
  for (const { codes } of candidates) codes.fill(0);
  assert.deepEqual(scan.rank([queries, ...others.slice(0, 2)], candidates, 8, 0.05), first);
  assert.notDeepEqual(
    scan.rank(others, candidates, 8, 0.05).best,
    new BlockScan().rank(others, candidates, 8, 0.05).best,
  );
});

test("any number of heads is compared", () => {
  for (const nHeads of [1, 2, 4, 5, 8]) {
    const blocks = Array.from({ length: 6 }, (_, i) => quantiseRows(normal(4 * HEAD_SIZE, 40 + i), HEAD_SIZE));
    const token = normal(nHeads * HEAD_SIZE, 3);
    const found = new BlockScan().rank(
      [token],
      blocks.map((keys) => candidateOf(keys, new Float32Array(nHeads))),
      6,
      0,
    );
    const byHead = Array.from({ length: nHeads }, (_, head) => {
      const scores = blocks.map(({ values, scales }) =>
        Array.from(scales, (scale, key) => {
          const query = token.subarray(head * HEAD_SIZE, (head + 1) * HEAD_SIZE);
          return Math.exp(query.reduce((sum, x, c) => sum + x * values[key * HEAD_SIZE + c] * scale, 0));
        }).reduce((a, b) => a + b),
      );
      const all = scores.reduce((a, b) => a + b);
      return scores.map((score) => score / all);
    });
    const pooled = blocks.map((_, block) => byHead.reduce((sum, shares) => sum + shares[block], 0));
    const order = [...pooled.keys()].sort((a, b) => pooled[b] - pooled[a]);
    assert.deepEqual(found.best, order);
  }
});

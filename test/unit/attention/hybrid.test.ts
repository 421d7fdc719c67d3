import assert from "node:assert/strict";
import { test } from "node:test";
import { causalConv } from "../../../engine/attention/causal-conv.ts";
import { lightningAttention, repeatedLogDecay } from "../../../engine/attention/lightning.ts";
import { windowAttention, windowBiasRange } from "../../../engine/attention/window.ts";
import { GraphBuilder } from "../../../engine/onnx/graph.ts";
import { toMemory } from "../../../engine/runtime/hybrid-reader.ts";
import { createSession, type InferenceSession, Tensor } from "../../../engine/runtime/session.ts";
import { assertClose } from "../close.ts";

/** Numbers that look random and are the same in every run. */
const noise = (n: number, seed = 1) =>
  Float32Array.from({ length: n }, (_, i) => Math.sin((i + 1) * 12.9898 * seed + seed) * 0.9);
const float = (data: Float32Array, shape: number[]) => new Tensor("float32", data, shape);
const int64 = (values: number[]) => new Tensor("int64", BigInt64Array.from(values, BigInt), [values.length]);
const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, x, i) => sum + x * b[i], 0);

async function withSession(build: (graph: GraphBuilder) => void, use: (session: InferenceSession) => Promise<void>) {
  const graph = new GraphBuilder();
  build(graph);
  const session = await createSession(graph.build(), { nThreads: 1 });
  await use(session);
  await session.release();
}

const nHeads = 2;
const c = 8;
const d = nHeads * c;

/** o_i = sum over j <= i of exp(-s (i - j)) (q_i . k_j) v_j. */
function quadratic(q: Float32Array, k: Float32Array, v: Float32Array, decay: Float32Array, n: number): Float32Array {
  const out = new Float32Array(n * d);
  const row = (x: Float32Array, t: number, head: number) => x.subarray(t * d + head * c, t * d + (head + 1) * c);
  for (let head = 0; head < nHeads; head++) {
    for (let i = 0; i < n; i++) {
      for (let j = 0; j <= i; j++) {
        const weight = Math.exp(-decay[head] * (i - j)) * dot(row(q, i, head), row(k, j, head));
        for (let ch = 0; ch < c; ch++) out[i * d + head * c + ch] += weight * row(v, j, head)[ch];
      }
    }
  }
  return out;
}

test("lightning attention is its quadratic definition, without decay, with some, and with nearly nothing left", async () => {
  for (const decay of [Float32Array.of(0, 0), Float32Array.of(0.25, 0.0039), Float32Array.of(20, 0.5)]) {
    const build = (graph: GraphBuilder) => {
      const qkv = ["q", "k", "v"].map((name) => graph.input(name, "float32", [1, "n", d]));
      const past = graph.input("past", "float32", [1, nHeads, c, c]);
      const ids = graph.input("ids", "int64", [1, "n"]);
      const logDecay = repeatedLogDecay(graph, "decay", decay, ids);
      const state = { past, present: "present" };
      const [mixed, present] = lightningAttention(graph, qkv, logDecay, nHeads, state);
      graph.output(mixed, "float32", [1, "n", d]);
      graph.output(present, "float32", [1, nHeads, c, c]);
    };
    await withSession(build, async (session) => {
      for (const n of [1, 63, 64, 65, 130]) {
        const [q, k, v] = [noise(n * d, 1), noise(n * d, 2), noise(n * d, 3)];
        const expected = quadratic(q, k, v, decay, n);
        const whole = await session.run(feeds(q, k, v, new Float32Array(d * c)));
        assertClose(whole[session.outputNames[0]].data as Float32Array, expected, 1e-4, `n ${n}`);

        // Cut anywhere, the rest goes on from the carried state.
        const cut = Math.floor(n / 3) * d;
        if (cut === 0) continue;
        const first = await session.run(
          feeds(q.slice(0, cut), k.slice(0, cut), v.slice(0, cut), new Float32Array(d * c)),
        );
        const carried = first.present.data as Float32Array;
        const rest = await session.run(feeds(q.slice(cut), k.slice(cut), v.slice(cut), carried));
        assertClose(rest[session.outputNames[0]].data as Float32Array, expected.slice(cut), 1e-4, `rest of ${n}`);
        assertClose(rest.present.data as Float32Array, whole.present.data as Float32Array, 1e-4, `state of ${n}`);
      }
    });
  }
  function feeds(q: Float32Array, k: Float32Array, v: Float32Array, past: Float32Array) {
    const shape = [1, q.length / d, d];
    const ids = new Tensor("int64", new BigInt64Array(shape[1]), [1, shape[1]]);
    return { ids, q: float(q, shape), k: float(k, shape), v: float(v, shape), past: float(past, [1, nHeads, c, c]) };
  }
});

test("convolution: tap a is a shift by a, and a text in pieces equals the text at once", async () => {
  const channels = 3;
  // Channel 0: identity; channel 1: shift by two; channel 2: all taps.
  const filter = Float32Array.of(1, 0, 0, 0, 0, 1, 0.5, -0.25, 2);
  const build = (graph: GraphBuilder) => {
    const x = graph.input("x", "float32", [1, "n", channels]);
    const past = graph.input("past", "float32", [1, 2, channels]);
    const [y, present] = causalConv(graph, x, "conv", filter, 3, { past, present: "present" });
    graph.output(y, "float32", [1, "n", channels]);
    graph.output(present, "float32", [1, 2, channels]);
  };
  await withSession(build, async (session) => {
    const x = noise(7 * channels);
    const at = (t: number, ch: number) => (t < 0 ? 0 : x[t * channels + ch]);
    const expected = Float32Array.from({ length: x.length }, (_, i) => {
      const [t, ch] = [Math.floor(i / channels), i % channels];
      return [0, 1, 2].reduce((sum, a) => sum + filter[3 * ch + a] * at(t - a, ch), 0);
    });
    for (const cuts of [[7], [1, 7], [3, 4, 7], [1, 2, 3, 4, 5, 6, 7]]) {
      let past: Float32Array = new Float32Array(2 * channels);
      const out: number[] = [];
      let start = 0;
      for (const end of cuts) {
        const piece = x.slice(start * channels, end * channels);
        const feeds = { x: float(piece, [1, end - start, channels]), past: float(past, [1, 2, channels]) };
        const result = await session.run(feeds);
        out.push(...(result[session.outputNames[0]].data as Float32Array));
        past = result.present.data as Float32Array;
        start = end;
      }
      assertClose(out, expected, 1e-6, `cuts ${cuts}`);
    }
  });
});

test("window attention is one softmax over window, memory and sink", async () => {
  const [window, maxTokens, nPast, n, nMemory] = [4, 5, 2, 5, 3];
  const biases = { window: noise(nHeads * window, 4), sink: Float32Array.of(0.3, -0.2) };
  const classBiases = noise(nHeads * 2, 5);
  const build = (graph: GraphBuilder) => {
    const vector = (name: string, rows: string) => graph.input(name, "float32", [rows, c]);
    const qkv = [graph.input("q", "float32", ["n", nHeads, c]), vector("k", "n"), vector("v", "n")];
    const [mixed, presentKeys, presentValues, attention] = windowAttention(graph, qkv, {
      name: "w",
      headSize: c,
      maxTokens,
      window: {
        pastKeys: vector("pastKeys", "nPast"),
        pastValues: vector("pastValues", "nPast"),
        presentKeys: "presentKeys",
        presentValues: "presentValues",
      },
      memory: {
        keys: vector("memoryKeys", "m"),
        values: vector("memoryValues", "m"),
        classes: graph.input("classes", "int64", ["m"]),
        biases: classBiases,
      },
      range: { start: graph.input("start", "int64", [2]), end: graph.input("end", "int64", [2]) },
      biases,
    });
    graph.output(mixed, "float32", ["n", nHeads, c]);
    for (const value of [presentKeys, presentValues]) graph.output(value, "float32", ["nPresent", c]);
    graph.nodes("Identity", [attention], ["attention"]);
    graph.output({ name: "attention" }, "float32", [nHeads, "nKeys"]);
  };
  const q = noise(n * d, 6);
  const [keys, values] = [noise((nPast + n) * c, 7), noise((nPast + n) * c, 8)];
  const [memoryKeys, memoryValues] = [noise(nMemory * c, 9), noise(nMemory * c, 10)];
  const classes = [1, 0, 1];
  const row = (x: Float32Array, t: number) => x.subarray(t * c, (t + 1) * c);

  const expected = new Float32Array(n * d);
  // Of the last query by head: memory and sink.
  const attention = new Float32Array(nHeads * (nMemory + 1));
  for (let i = 0; i < n; i++) {
    for (let head = 0; head < nHeads; head++) {
      const query = q.subarray((i * nHeads + head) * c, (i * nHeads + head + 1) * c);
      const entries: { score: number; value: Float32Array }[] = [
        { score: biases.sink[head], value: new Float32Array(c) },
      ];
      for (let distance = 0; distance < window && i + nPast - distance >= 0; distance++) {
        const j = i + nPast - distance;
        const score = dot(query, row(keys, j)) + biases.window[head * window + distance];
        entries.push({ score, value: row(values, j) });
      }
      for (const [m, memoryClass] of classes.entries()) {
        const score = dot(query, row(memoryKeys, m)) + classBiases[head * 2 + memoryClass];
        entries.push({ score, value: row(memoryValues, m) });
      }
      const sum = entries.reduce((total, { score }) => total + Math.exp(score), 0);
      if (i === n - 1) {
        const far = [...entries.slice(-nMemory), entries[0]];
        for (const [m, { score }] of far.entries()) attention[head * (nMemory + 1) + m] = Math.exp(score) / sum;
      }
      for (const { score, value } of entries) {
        for (let ch = 0; ch < c; ch++) expected[(i * nHeads + head) * c + ch] += (Math.exp(score) / sum) * value[ch];
      }
    }
  }
  await withSession(build, async (session) => {
    const { start, end } = windowBiasRange(window, nPast, n);
    const result = await session.run({
      q: float(q, [n, nHeads, c]),
      k: float(keys.slice(nPast * c), [n, c]),
      v: float(values.slice(nPast * c), [n, c]),
      pastKeys: float(keys.slice(0, nPast * c), [nPast, c]),
      pastValues: float(values.slice(0, nPast * c), [nPast, c]),
      memoryKeys: float(memoryKeys, [nMemory, c]),
      memoryValues: float(memoryValues, [nMemory, c]),
      classes: int64(classes),
      start: int64(start),
      end: int64(end),
    });
    assertClose(result[session.outputNames[0]].data as Float32Array, expected, 1e-5, "mixed");
    const looked = result.attention.data as Float32Array;
    assertClose(toMemory(looked, nMemory + 1, nHeads), attention, 1e-6, "attention");
    assert.deepEqual(result.presentKeys.data, keys.slice(-(window - 1) * c));
    assert.deepEqual(result.presentValues.data, values.slice(-(window - 1) * c));
  });
});

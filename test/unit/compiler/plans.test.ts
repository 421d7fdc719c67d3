/** Plans that leave keys out: equal to the exact plan where they cover all keys, else to the reference that sees the same. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type AttentionPlan,
  BLOCK_TOKENS,
  balancedPlan,
  exactPlan,
  fastPlan,
  SELECTORS,
} from "../../../engine/attention/plan.ts";
import { streams } from "../../../engine/attention/streaming.ts";
import type { DecoderConfig } from "../../../engine/models/types.ts";
import { referenceLogits } from "../../../engine/reference.ts";
import type { Decoder, PlacelessRows } from "../../../engine/runtime/decoder.ts";
import { DecoderReader } from "../../../engine/runtime/decoder-reader.ts";
import { argmax, assertClose } from "../close.ts";
import { decoderFixtures, decoderForTest, openForTest, storiesModels } from "../decoder-golden.ts";

const textOf = (n: number) => Array.from({ length: n }, (_, i) => (i * i * 31 + i * 7 + 3) % 128);

/** Every combination of roles occurs in models of two layers and two heads. */
const ROLES: AttentionPlan["layers"][number]["heads"][][] = [
  [["streaming", "streaming"], ["streaming", "streaming"]],
  [["retrieval", "streaming"], ["streaming", "retrieval"]],
]; // biome-ignore format: one row each

const withRoles = (config: DecoderConfig, roles: (typeof ROLES)[number], span: { sinks: number; window: number }) => {
  const plan = exactPlan(config);
  return { ...plan, ...span, layers: plan.layers.map((layer, i) => ({ ...layer, heads: roles[i] })) };
};

/** Texts that are read one by one, each as if nothing stood before it. */
async function placelessRows(
  reader: Decoder,
  texts: readonly (readonly number[])[],
  more: Partial<PlacelessRows> = {},
) {
  const rows: PlacelessRows[] = [];
  for (const text of texts) {
    await reader.run(text, 0, []);
    rows.push({ ...reader.take(0, text.length), ...more });
  }
  return rows;
}

/** Reads a text in runs of the given lengths; the logits behind it. */
async function readInRuns(decoder: Decoder, ids: readonly number[], lengths: readonly number[]): Promise<Float32Array> {
  let nPast = 0;
  for (const n of lengths) {
    const logits = await decoder.run(ids.slice(nPast, nPast + n), nPast, [n - 1]);
    nPast += n;
    if (nPast === ids.length) return logits;
  }
  return assert.fail("the runs are shorter than the text");
}

for (const { name, path } of decoderFixtures) {
  test(`${name}: streaming heads equal the reference that sees sinks and window, however the text is cut`, async () => {
    const model = await openForTest(path);
    const ids = textOf(40);
    const span = { sinks: 3, window: 7 };
    for (const roles of ROLES) {
      const decoder = await decoderForTest(model, { plan: withRoles(model.config, roles, span) });
      const expected = referenceLogits(model.config, model.weights, ids, (layer, head, query, key) =>
        roles[layer][head] === "retrieval" ? true : streams(query, key, span),
      ).at(-1)!;
      for (const lengths of [[40], [1, 20, 19], [39, 1], [2, 17, 1, 1, 18, 1]]) {
        assertClose(await readInRuns(decoder, ids, lengths), expected, 1e-3, `runs of ${lengths}`);
      }
    }
  });

  test(`${name}: blocks that cover all keys equal the exact plan`, async () => {
    const model = await openForTest(path);
    const exact = await decoderForTest(model);
    const ids = textOf(200);
    const lengths = [196, 1, 1, 1, 1];
    const expected = (await readInRuns(exact, ids, lengths)).slice();
    for (const plan of [balancedPlan(model.config), fastPlan(model.config)]) {
      const decoder = await decoderForTest(model, { plan });
      assertClose(await readInRuns(decoder, ids, lengths), expected, 1e-4, "logits");
    }
  });
}

for (const { name, path } of decoderFixtures) {
  test(`${name}: texts read alone and placed one behind the other equal the reference that parts them`, async () => {
    const model = await openForTest(path);
    const texts = [textOf(70), textOf(90).reverse()];
    const question = [5, 17, 99];
    const reader = await decoderForTest(model);
    const rows = await placelessRows(reader, texts);
    const ids = [...texts.flat(), ...question];
    const part = (position: number) => (position < 70 ? 0 : position < 160 ? 1 : 2);
    const expected = referenceLogits(
      model.config,
      model.weights,
      ids,
      (_, __, query, key) => part(query) === 2 || part(query) === part(key),
    ).at(-1)!;
    for (const preset of [exactPlan, balancedPlan, fastPlan]) {
      const decoder = await decoderForTest(model, { plan: preset(model.config) });
      decoder.place(0, rows[0]);
      decoder.place(70, rows[1]);
      await decoder.run(question.slice(0, -1), 160, []);
      assertClose(await decoder.run(question.slice(-1), 162, [0]), expected, 1e-3, "logits");
    }
  });

  test(`${name}: streaming heads see nothing of what is placed, and the rest as if it were far away`, async () => {
    const model = await openForTest(path);
    const span = { sinks: 3, window: 7 };
    const [head, text, question] = [textOf(12), textOf(70).reverse(), [5, 17, 99]];
    for (const roles of ROLES) {
      const plan = withRoles(model.config, roles, span);
      const reader = await decoderForTest(model, { plan });
      await reader.run(text, 0, []);
      const rows = reader.take(0, text.length);
      const part = (position: number) => (position < 12 ? 0 : position < 82 ? 1 : 2);
      const expected = referenceLogits(
        model.config,
        model.weights,
        [...head, ...text, ...question],
        (layer, kvHead, query, key) => {
          if (part(query) === 1 && part(key) !== 1) return false;
          if (roles[layer][kvHead] === "retrieval") return true;
          if (part(query) === 1) return streams(query - 12, key - 12, span);
          return part(key) !== 1 && streams(query, key, span);
        },
      ).at(-1)!;
      const decoder = await decoderForTest(model, { plan });
      // What was read before leaves nothing.
      await decoder.run(textOf(100), 0, []);
      await decoder.run(head, 0, []);
      decoder.place(12, rows);
      assert.ok(decoder.holds(82));
      await decoder.run(question.slice(0, -1), 82, []);
      assertClose(await decoder.run(question.slice(-1), 84, [0]), expected, 1e-3, "logits");
    }
  });

  test(`${name}: tokens taken from the middle of a text and placed there again change nothing`, async () => {
    const model = await openForTest(path);
    const decoder = await decoderForTest(model);
    await decoder.run(textOf(100), 0, []);
    const expected = (await decoder.run([5], 100, [0])).slice();
    decoder.place(30, decoder.take(30, 50));
    assertClose(await decoder.run([5], 100, [0]), expected, 1e-4, "logits");
  });
}

for (const { name, path } of decoderFixtures.filter(({ name }) => ["llama", "qwen2", "qwen3"].includes(name))) {
  test(`${name}: chosen blocks equal the reference that sees them alone`, async () => {
    const model = await openForTest(path);
    const plan = exactPlan(model.config);
    const ids = textOf(270);
    for (const selector of SELECTORS) {
      const layers = [
        { ...plan.layers[0], blocks: { kind: "select", selector, budget: 4 } },
        { ...plan.layers[1], blocks: { kind: "reuse", budget: 3 } },
      ] as const;
      const decoder = await decoderForTest(model, { plan: { ...plan, layers } });
      await decoder.run(ids.slice(0, -1), 0, []);
      const logits = await decoder.run(ids.slice(-1), ids.length - 1, [0]);
      const chosen = decoder.chosenBy(0);
      assert.equal(new Set(chosen).size, 4);
      for (const always of [0, 3, 4]) assert.ok(chosen.includes(always), `${chosen}`);
      const expected = referenceLogits(model.config, model.weights, ids, (layer, _, query, key) => {
        // A layer that chooses by its attention has read everything.
        if (query < ids.length - 1 || key === query || (layer === 0 && selector === "attention")) return true;
        return chosen.slice(0, layer === 0 ? 4 : 3).includes(Math.floor(key / BLOCK_TOKENS));
      }).at(-1)!;
      assertClose(logits, expected, 1e-3, selector);
    }
  });
}

test("a choice that serves several tokens sees what they add, across the borders of blocks", async () => {
  const model = await openForTest(decoderFixtures[0].path);
  const plan = exactPlan(model.config);
  const blocks = { kind: "select", selector: "mean", budget: 3 } as const;
  const layers = [
    { ...plan.layers[0], blocks },
    { ...plan.layers[1], blocks: { kind: "reuse", budget: 3 } },
  ] as const;
  const decoder = await decoderForTest(model, {
    plan: { ...plan, layers, refresh: { maxTokens: 99, minCosine: -1 } },
  });
  const ids = textOf(270);
  const nPrompt = 250;
  await decoder.run(ids.slice(0, nPrompt), 0, []);
  const chosen = new Map<number, readonly number[]>();
  let logits = new Float32Array();
  for (let at = nPrompt; at < ids.length; at++) {
    logits = (await decoder.run([ids[at]], at, [0])).slice();
    chosen.set(at, decoder.chosenBy(0));
  }
  assert.notDeepEqual(chosen.get(nPrompt), chosen.get(ids.length - 1));
  const expected = referenceLogits(
    model.config,
    model.weights,
    ids,
    (_, __, query, key) => key === query || (chosen.get(query)?.includes(Math.floor(key / BLOCK_TOKENS)) ?? true),
  ).at(-1)!;
  assertClose(logits, expected, 1e-3, "logits");
  // What was just read is always seen.
  for (const [at, some] of chosen) assert.ok(some.includes(Math.floor((at - 1) / BLOCK_TOKENS)), `${at}: ${some}`);
});

for (const path of storiesModels.paths) {
  test(`${path.split("/").at(-1)}: presets that cover the text tell the golden stories`, storiesModels, async () => {
    const model = await openForTest(path);
    for (const preset of [balancedPlan, fastPlan]) {
      const decoder = await decoderForTest(model, { plan: preset(model.config) });
      for (const { prompt_ids, greedy_ids } of storiesModels.cases()) {
        const reader = new DecoderReader(decoder, model.config);
        const ids = [...prompt_ids];
        while (ids.length < greedy_ids.length) ids.push(argmax(await reader.readText(ids)));
        assert.deepEqual(ids, greedy_ids);
      }
    }
  });
}

for (const { name, path } of decoderFixtures) {
  test(`${name}: a long prompt read by one hashed block equals the exact plan, by several it does not`, async () => {
    const model = await openForTest(path);
    const ids = textOf(760);
    const exact = await decoderForTest(model);
    const read = async (decoder: Decoder) => {
      let logits = new Float32Array(0);
      for (let nPast = 0; nPast < ids.length; nPast += 95) {
        const rows = nPast + 95 === ids.length ? [94] : [];
        logits = (await decoder.run(ids.slice(nPast, nPast + 95), nPast, rows)).slice();
      }
      return logits;
    };
    const expected = await read(exact);
    const plan = (block: number) => ({
      ...exactPlan(model.config),
      longPrompts: { fromTokens: 570, block, samples: 4 },
    });
    assertClose(await read(await decoderForTest(model, { plan: plan(250) })), expected, 1e-3, "one block");
    const rough = await read(await decoderForTest(model, { plan: plan(10) }));
    const worst = rough.reduce((max, logit, i) => Math.max(max, Math.abs(logit - expected[i])), 0);
    assert.ok(worst > 1e-3, `${worst}`);
  });
}

for (const { name, path } of decoderFixtures) {
  test(`${name}: damped first tokens of placed texts equal the reference that damps them, however the rest is cut`, async () => {
    const model = await openForTest(path);
    const texts = [textOf(70), textOf(90).reverse(), textOf(64)];
    const question = [5, 17, 99, 3];
    const reader = await decoderForTest(model);
    const rows = await placelessRows(reader, texts, { isStart: true });
    const ids = [...texts.flat(), ...question];
    const starts = [0, 70, 160, 224];
    const part = (position: number) => starts.findLastIndex((start) => start <= position);
    const alone = (_: number, __: number, query: number, key: number) => part(query) === 3 || part(query) === part(key);
    const heads = [[0], [0, 1]];
    const expected = referenceLogits(model.config, model.weights, ids, alone, undefined, {
      keep: 0.1,
      isSink: (layer, kvHead, query, key) =>
        part(query) === 3 && (key === 70 || key === 160) && heads[layer].includes(kvHead),
    }).at(-1)!;
    const undamped = referenceLogits(model.config, model.weights, ids, alone).at(-1)!;
    const placed = async (plan: AttentionPlan, lengths: readonly number[]) => {
      const decoder = await decoderForTest(model, { plan });
      let at = 0;
      for (const one of rows) {
        decoder.place(at, one);
        at += one.n;
      }
      let logits = new Float32Array(0);
      for (const n of lengths) {
        logits = (await decoder.run(ids.slice(at, at + n), at, [n - 1])).slice();
        at += n;
      }
      return logits;
    };
    const worst = expected.reduce((max, logit, i) => Math.max(max, Math.abs(logit - undamped[i])), 0);
    assert.ok(worst > 3e-3, `damping changes something: ${worst}`);
    for (const preset of [exactPlan, balancedPlan, fastPlan]) {
      const plan = { ...preset(model.config), calibration: { keep: 0.1, heads } };
      for (const lengths of [[4], [3, 1], [1, 1, 1, 1]]) {
        assertClose(await placed(plan, lengths), expected, 1e-3, `runs of ${lengths}`);
      }
      const none = { ...plan, calibration: { keep: 0.1, heads: [[], []] } };
      assert.deepEqual(await placed(none, [3, 1]), await placed(preset(model.config), [3, 1]));
      const all = { ...plan, calibration: { keep: 1, heads } };
      assertClose(await placed(all, [3, 1]), undamped, 1e-3, "all is kept");
    }
  });

  test(`${name}: a plan that damps leaves a text without placed texts as it is, to the last bit`, async () => {
    const model = await openForTest(path);
    const ids = textOf(200);
    const heads = [[0, 1], [0, 1]]; // biome-ignore format: one row
    for (const preset of [exactPlan, balancedPlan]) {
      const plain = await decoderForTest(model, { plan: preset(model.config) });
      const damping = await decoderForTest(model, {
        plan: { ...preset(model.config), calibration: { keep: 0.4, heads } },
      });
      const expected = (await readInRuns(plain, ids, [197, 1, 1, 1])).slice();
      // What was placed before and is overwritten leaves no sinks.
      damping.place(50, { ...plain.take(0, 64), isStart: true });
      assert.deepEqual((await readInRuns(damping, ids, [197, 1, 1, 1])).slice(), expected);
    }
  });
}

for (const { name, path } of decoderFixtures) {
  test(`${name}: sinks that a question finds among placed tokens are the reference's, and are damped from then on`, async () => {
    const model = await openForTest(path);
    const { nLayers, nKvHeads, nHeads } = model.config;
    const texts = [textOf(70), textOf(90).reverse()];
    const question = [5, 17, 99, 3, 41, 8];
    const [nPlaced, last] = [160, 165];
    const reader = await decoderForTest(model);
    const rows = await placelessRows(reader, texts, { isStart: false });
    const ids = [...texts.flat(), ...question];
    const part = (position: number) => [0, 70, nPlaced].findLastIndex((start) => start <= position);
    const alone = (_: number, __: number, query: number, key: number) => part(query) === 2 || part(query) === part(key);
    // What the question but its last token gives each placed key, in the mean.
    const key = (layer: number, kvHead: number, at: number) => (layer * nKvHeads + kvHead) * nPlaced + at;
    const means = new Float64Array(nLayers * nKvHeads * nPlaced);
    const nGroup = nHeads / nKvHeads;
    const undamped = referenceLogits(model.config, model.weights, ids, alone, (layer, head, query, shares) => {
      if (query < nPlaced || query === last) return;
      const kvHead = Math.floor(head / nGroup);
      for (let at = 0; at < nPlaced; at++) means[key(layer, kvHead, at)] += shares[at] / (nGroup * (last - nPlaced));
    }).at(-1)!;
    // Between two means that lie far apart, so that rounding decides nothing.
    const shares = [...means].map((mean) => mean * nPlaced).sort((a, b) => b - a);
    const gaps = shares.slice(0, 40).map((share, i) => (i > 0 && share > 1.1 ? shares[i - 1] / share : 1));
    const at = gaps.indexOf(Math.max(...gaps));
    const detect = Math.sqrt(shares[at - 1] * shares[at]);
    assert.ok(gaps[at] > 1.03, `a gap: ${gaps[at]}`);
    const isFound = (layer: number, kvHead: number, at: number) => means[key(layer, kvHead, at)] * nPlaced > detect;
    const heads = Array.from({ length: nLayers }, () => [...Array(nKvHeads).keys()]);
    const expected = referenceLogits(model.config, model.weights, ids, alone, undefined, {
      keep: 0.1,
      isSink: (layer, kvHead, query, at) => query === last && at < nPlaced && isFound(layer, kvHead, at),
    }).at(-1)!;
    for (const preset of [exactPlan, balancedPlan, fastPlan]) {
      for (const [lengths, keep] of [
        [[5, 1], 0.1],
        [[5, 1], 1],
        // Damping begins with the first run that finds something, so runs are only alike where all is kept.
        [[2, 3, 1], 1],
      ] as const) {
        const decoder = await decoderForTest(model, {
          plan: { ...preset(model.config), calibration: { keep, heads, detect } },
        });
        // What was found in another text is forgotten.
        for (const start of [30, 0]) {
          let position = start;
          for (const one of rows) {
            decoder.place(position, one);
            position += one.n;
          }
          await decoder.run([1, 2, 3], position, []);
        }
        let position = nPlaced;
        let logits = new Float32Array(0);
        for (const n of lengths) {
          logits = (await decoder.run(ids.slice(position, position + n), position, [n - 1])).slice();
          position += n;
        }
        for (const [layer, some] of heads.entries()) {
          for (const head of some) {
            const found = Array.from({ length: nPlaced }, (_, i) => i).filter((i) => isFound(layer, head, i));
            assert.deepEqual(decoder.dampedBy(layer, head), found, `layer ${layer}, head ${head}, runs of ${lengths}`);
          }
        }
        assertClose(logits, keep === 1 ? undamped : expected, 1e-3, `runs of ${lengths}, ${keep} kept`);
      }
    }
  });
}

/** Layer 0 chooses, the others prune to so many keys each. */
const pruning = (
  config: DecoderConfig,
  selector: (typeof SELECTORS)[number],
  keys: readonly number[],
): AttentionPlan => {
  const plan = exactPlan(config);
  const layers = plan.layers.map((layer, i) => ({
    ...layer,
    blocks:
      i === 0 ? ({ kind: "select", selector, budget: 4 } as const) : ({ kind: "prune", keys: keys[i - 1] } as const),
  }));
  return { ...plan, layers };
};

/** The reference that leaves out what the last query's layers leave out, given the blocks that layer 0 chose. */
function prunedReference(
  { config, weights }: Awaited<ReturnType<typeof openForTest>>,
  ids: readonly number[],
  { chosen, readsAll, keys }: { chosen: readonly number[]; readsAll: boolean; keys: readonly number[] },
) {
  const last = ids.length - 1;
  const importance = new Float64Array(last);
  let alive = new Set(Array.from({ length: last }, (_, i) => i).filter((i) => chosen.includes(i >> 6)));
  let layerOfAlive = 0;
  const aliveIn = (layer: number) => {
    for (; layerOfAlive < layer; layerOfAlive++) {
      const best = [...alive].sort((a, b) => importance[b] - importance[a]);
      alive = new Set(best.slice(0, keys[layerOfAlive]));
    }
    return alive;
  };
  return referenceLogits(
    config,
    weights,
    ids,
    (layer, _, query, key) => query < last || key === last || (layer === 0 && readsAll) || aliveIn(layer).has(key),
    (_, __, query, shares) => {
      if (query === last) for (let key = 0; key < last; key++) importance[key] += shares[key];
    },
  ).at(-1)!;
}

for (const { name, path } of decoderFixtures) {
  test(`${name}: pruned keys equal the reference that leaves them out, and pruning none equals reading them all`, async () => {
    const model = await openForTest(path);
    const ids = textOf(300);
    for (const selector of SELECTORS) {
      for (const keys of [[100], [1]]) {
        const decoder = await decoderForTest(model, { plan: pruning(model.config, selector, keys) });
        const logits = await readInRuns(decoder, ids, [299, 1]);
        const chosen = decoder.chosenBy(0);
        const expected = prunedReference(model, ids, { chosen, readsAll: selector === "attention", keys });
        assertClose(logits, expected, 1e-3, `${selector} ${keys}`);
      }
      const none = await decoderForTest(model, { plan: pruning(model.config, selector, [256]) });
      const reuse = pruning(model.config, selector, [256]);
      const layers = [reuse.layers[0], { ...reuse.layers[1], blocks: { kind: "reuse", budget: 4 } as const }];
      const reusing = await decoderForTest(model, { plan: { ...reuse, layers } });
      const expected = (await readInRuns(reusing, ids, [297, 1, 1, 1])).slice();
      assertClose(await readInRuns(none, ids, [297, 1, 1, 1]), expected, 1e-4, "none pruned");
      // A text that is shorter than the budgets is read as a whole.
      const short = textOf(150);
      const exact = (await readInRuns(await decoderForTest(model), short, [147, 1, 1, 1])).slice();
      assertClose(await readInRuns(none, short, [147, 1, 1, 1]), exact, 1e-4, "short");
    }
  });
}

test("stories260K: keys pruned layer after layer equal the reference", storiesModels, async () => {
  const model = await openForTest(storiesModels.paths[1]);
  const ids = storiesModels
    .cases()
    .flatMap(({ greedy_ids }) => greedy_ids)
    .slice(0, 300);
  const keys = [150, 150, 60, 20];
  const decoder = await decoderForTest(model, { plan: pruning(model.config, "mean", keys) });
  const logits = await readInRuns(decoder, ids, [299, 1]);
  const expected = prunedReference(model, ids, { chosen: decoder.chosenBy(0), readsAll: false, keys });
  assertClose(logits, expected, 1e-3, "logits");
  const all = referenceLogits(model.config, model.weights, ids).at(-1)!;
  assert.ok(all.some((logit, i) => Math.abs(logit - expected[i]) > 1e-2));
});

test("a layer that reads fewer of the chosen blocks stands before one that prunes their keys", async () => {
  const model = await openForTest(storiesModels.skip ? decoderFixtures[0].path : storiesModels.paths[1]);
  const plan = pruning(model.config, "mean", new Array(model.config.nLayers - 1).fill(192));
  const reuse = { kind: "reuse", budget: 3 } as const;
  const reusing = { ...plan, layers: plan.layers.map((layer, i) => (i === 0 ? layer : { ...layer, blocks: reuse })) };
  const mixed = { ...plan, layers: plan.layers.map((layer, i) => (i === 1 ? { ...layer, blocks: reuse } : layer)) };
  const ids = textOf(300);
  const expected = (await readInRuns(await decoderForTest(model, { plan: reusing }), ids, [298, 1, 1])).slice();
  assertClose(
    await readInRuns(await decoderForTest(model, { plan: mixed }), ids, [298, 1, 1]),
    expected,
    1e-4,
    "logits",
  );
});

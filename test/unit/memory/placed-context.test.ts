/** Blocks of a user's model: which are placed, and what is told of the attention they got. */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { balancedPlan } from "../../../engine/attention/plan.ts";
import { Catalogue } from "../../../engine/memory/catalogue.ts";
import { FolderMemory } from "../../../engine/memory/folder-memory.ts";
import { indexFolder } from "../../../engine/memory/indexer.ts";
import { PlacedContext } from "../../../engine/memory/placed-context.ts";
import { loadTokenizerFolder } from "../../../engine/models/tokenizer/folder.ts";
import { DecoderMemory } from "../../../engine/runtime/decoder-memory.ts";
import { DecoderReader } from "../../../engine/runtime/decoder-reader.ts";
import { generate } from "../../../engine/runtime/generate.ts";
import { decoderForTest, openForTest, storiesModels } from "../decoder-golden.ts";
import { temporaryFolder } from "./small-memory.ts";

const STORY = "Once upon a time, there was a little girl named Lily.\nShe loved to play outside in the park.\n";

/** A folder encoded with stories260K. */
async function encodedFolder(context: { after(hook: () => void): void }, files: Record<string, string>) {
  const dir = temporaryFolder(context);
  const root = join(dir, "folder");
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  for (const [path, text] of Object.entries(files)) write(path, text);
  const model = await openForTest(storiesModels.paths[0]);
  const { config, weights } = model;
  const tokenizer = loadTokenizerFolder(storiesModels.paths[1]);
  const plan = balancedPlan(config);
  const decoder = await decoderForTest(model, { plan });
  const reader = new DecoderReader(decoder, config);
  const encoder = new DecoderMemory({ config, weights, plan, decoder, reader, tokenizer });
  const catalogue = Catalogue.open(join(dir, "catalogue"));
  context.after(() => catalogue.close());
  let nRuns = 0;
  const open = () => {
    const { fingerprint, shape } = encoder;
    const turn = <T>(run: () => Promise<T>) => {
      nRuns++;
      return run();
    };
    const parts = { encoder, tokenizer, fingerprint, shape, turn };
    return new FolderMemory(root, parts, { dir: join(dir, "store"), log: () => {} });
  };
  const folder = open();
  const refresh = async (one = folder) => {
    await indexFolder(root, { catalogue });
    return one.refresh(catalogue.files());
  };
  await refresh();
  return { folder, open, refresh, write, dir, encoder, reader, tokenizer, runs: () => nRuns };
}

const FILES = { "a.md": STORY.repeat(6), "b.md": `The cat sat.\n${STORY}`, "c.md": "A big red ball.\n".repeat(20) };

test(
  "blocks of cited lines come first, then those closest to the query; the best file stands last",
  storiesModels,
  async (context) => {
    const { folder, encoder, tokenizer } = await encodedFolder(context, FILES);
    const { memory } = folder;
    const places = [
      { file: "c.md", startLine: 1, endLine: 3 },
      { file: "gone.md", startLine: 1, endLine: 3 },
    ];
    const layer = encoder.routeLayer;
    const few = new PlacedContext(memory, { places, maxTokens: 128, layer });
    assert.deepEqual(few.holds, [true, false]);
    assert.deepEqual(new Set(few.trace().layers[0].blocks.map(({ path }) => path)), new Set(["c.md"]));
    const query = await encoder.query(tokenizer.encode(STORY, { bos: true }));
    const more = new PlacedContext(memory, { places, query, maxTokens: 256, layer });
    assert.ok(more.nTokens > few.nTokens && more.nTokens <= 256);
    more.look(new Float32Array(2 * more.nTokens).fill(1 / more.nTokens));
    const { blocks, looks, estimatedRecall } = more.trace().layers[0];
    assert.equal(looks, 1);
    assert.equal(estimatedRecall, null);
    assert.ok(Math.abs(blocks.reduce((sum, { mass }) => sum + mass, 0) - 1) < 1e-4);
    for (const { score } of blocks) assert.ok(score > -1 && score <= 1.0001 && score !== 0);
    // Slots are in the order of the rows: the last ones are the cited file's.
    const rows = more.rows((tokens) => encoder.rows(tokens));
    const cited = few.rows((tokens) => encoder.rows(tokens));
    const last = rows.slice(-cited.length);
    for (const [i, { keys }] of cited.entries()) assert.deepEqual(last[i].keys, keys);
    const nothing = new PlacedContext(memory, { places: [places[1]], maxTokens: 128, layer });
    assert.equal(nothing.nBlocks, 0);
  },
);

test(
  "an answer over a file in memory equals the one over its text, and attention is looked at",
  storiesModels,
  async (context) => {
    const { folder, encoder, reader, tokenizer } = await encodedFolder(context, { "a.md": STORY });
    const places = [{ file: "a.md", startLine: 1, endLine: 9 }];
    const placed = new PlacedContext(folder.memory, { places, maxTokens: 256, layer: encoder.routeLayer });
    const file = encoder.fileIds("a.md", STORY);
    assert.equal(placed.nTokens, file.length);
    const prompt = tokenizer.encode("One day, she saw", { continues: true });
    const options = { maxTokens: 20 };
    const dense = await generate(reader, tokenizer, [...file, ...prompt], options);
    const rows = placed.rows((tokens) => encoder.rows(tokens));
    const withMemory = encoder.readerOf({ at: 0, nTokens: placed.nTokens, rows }, (shares) => placed.look(shares));
    const answer = await generate(withMemory, tokenizer, prompt, options);
    assert.equal(answer.text, dense.text);
    const { looks, blocks } = placed.trace().layers[0];
    assert.equal(looks, 3);
    const mass = blocks.reduce((sum, block) => sum + block.mass, 0);
    assert.ok(mass > 0.1 && mass < 1, `${mass}`);
  },
);

test(
  "contents are encoded once, are there again when the memory is opened anew, and damage is encoded again",
  storiesModels,
  async (context) => {
    const { folder, open, refresh, write, dir } = await encodedFolder(context, FILES);
    const before = folder.status.nTokens;
    await folder.close();
    const again = open();
    assert.equal((await refresh(again))?.filesEncoded, 0);
    assert.equal(again.status.nTokens, before);
    write("moved.md", FILES["a.md"]);
    assert.equal((await refresh(again))?.filesEncoded, 0);
    const store = join(dir, "store");
    const [segment] = readdirSync(store, { recursive: true, encoding: "utf8" }).filter((name) =>
      name.endsWith(".segment"),
    );
    writeFileSync(join(store, segment), "damaged");
    await again.close();
    const last = open();
    assert.equal((await refresh(last))?.filesEncoded, 1);
    assert.equal(last.status.nTokens, before);
    await last.close();
  },
);

test("an edit of a long file costs its rest, and what stands before it is copied", storiesModels, async (context) => {
  const long = STORY.repeat(80);
  const { folder, refresh, write, runs, encoder } = await encodedFolder(context, { "a.md": long });
  const nRuns = runs();
  const { nTokens } = folder.status;
  assert.ok(nTokens > 2500 && nRuns === Math.ceil(nTokens / 128), `${nRuns} runs of ${nTokens} tokens`);
  const before = folder.memory.read(3)!;
  write("a.md", `${long}The end.\n`);
  assert.equal((await refresh())?.filesEncoded, 1);
  const added = encoder.fileIds("a.md", `${long}The end.\n`).length - nTokens;
  assert.equal(folder.status.nTokens, nTokens + added);
  // States are kept for every 1,024 tokens.
  assert.ok(runs() - nRuns <= 1024 / 128 + 1, `${runs() - nRuns} runs`);
  const [{ segment, firstBlock }] = folder.memory.encoded();
  assert.ok(segment.nBlocks > 40);
  assert.deepEqual(folder.memory.read(firstBlock + 3), before);
});

import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { contentHash } from "../../../engine/models/content-hash.ts";
import { openModelFile } from "../../../engine/models/files/open.ts";
import { learnedGates } from "../../../engine/runtime/learned-gates.ts";
import { loadModel, withPlan } from "../../../engine/runtime/loaded-model.ts";
import { randomChatModel } from "../random-chat-model.ts";

const folder = mkdtempSync(join(tmpdir(), "longsight-gates-"));
process.env.LONGSIGHT_CACHE = join(folder, "cache");
after(() => rmSync(folder, { recursive: true, force: true }));

const shape = { nLayers: 2, nKvHeads: 2 };
const gates = [[0.2, 1], [0.7, 0]]; // biome-ignore format: one row

/** A model of one file, so to speak, and a way to lay gates beside it. */
function model(name: string) {
  const path = join(folder, name);
  writeFileSync(path, "weights");
  const file = { format: "gguf", path, files: [path] } as const;
  return { file, lay: (value: unknown) => writeFileSync(`${path}.longsight-gates.json`, JSON.stringify(value)) };
}

async function quietly<T>(task: () => Promise<T>): Promise<{ value: T; warnings: string[] }> {
  const warnings: string[] = [];
  const warn = console.warn;
  console.warn = (line: string) => warnings.push(line);
  try {
    return { value: await task(), warnings };
  } finally {
    console.warn = warn;
  }
}

test("gates beside a model are read if they are its own, and else left alone with one line in the log", async () => {
  const { file, lay } = model("a.gguf");
  const read = () => quietly(() => learnedGates(file, shape));
  assert.deepEqual(await read(), { value: undefined, warnings: [] });
  lay({ model: await contentHash(file.files), sinks: 64, window: 256, gates });
  assert.deepEqual(await read(), { value: gates, warnings: [] });
  for (const [wrong, why] of [
    [{ model: "another", gates }, /other weights/],
    [{ model: await contentHash(file.files), gates: [[0.2, 1]] }, /not those of its heads/],
    [{ model: await contentHash(file.files), gates: [[0.2], [1]] }, /not those of its heads/],
    [
      {
        model: await contentHash(file.files),
        gates: [
          [0.2, 1],
          [2, 0],
        ],
      },
      /not those of its heads/,
    ],
    [7, /not those of its heads/],
  ] as const) {
    lay(wrong);
    const { value, warnings } = await read();
    assert.equal(value, undefined);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0], why);
  }
});

test("a model with gates of its own splits its heads by them, without being checked first", async () => {
  const path = join(folder, "model");
  const made = randomChatModel();
  cpSync(made, path, { recursive: true });
  rmSync(made, { recursive: true });
  await assert.rejects(loadModel(withPlan(path, "split")), /run check-model/);
  const opened = openModelFile(path);
  const own = opened.config as { num_hidden_layers: number; num_key_value_heads: number };
  const some = Array.from({ length: own.num_hidden_layers }, () =>
    Array.from({ length: own.num_key_value_heads }, (_, head) => (head === 0 ? 1 : 0)),
  );
  const content = { model: await contentHash(opened.files), sinks: 64, window: 256, gates: some };
  opened.close();
  writeFileSync(join(path, "longsight-gates.json"), JSON.stringify(content));
  const model = await loadModel(withPlan(path, "split"));
  assert.equal(model.hasGates, true);
  assert.equal(model.encoder!.shape.rowsPerToken, own.num_hidden_layers);
  await model.close();
});

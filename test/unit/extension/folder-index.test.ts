import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { beforeEach, type TestContext, test } from "node:test";
import { LongsightError } from "../../../engine/errors.ts";
import type { FolderForecast } from "../../../engine/protocol.ts";
import type { EngineHost } from "../../../extension/engine-host.ts";
import { editor } from "../../editor.ts";
import { folderWith, PROJECT } from "../run-cli.ts";

const said = editor();
const { FolderIndex } = await import("../../../extension/workspace/folder-index.ts");
const { Uri } = await import("vscode");

beforeEach(() => {
  said.asked.length = 0;
  said.choice = undefined;
});

const HOUR_MS = 3_600_000;
/** 200,000 files of 3 KB. */
const LARGE: FolderForecast = {
  files: 200_000,
  nTokensAbout: 171_000_000,
  index: { ms: 280_000, diskBytes: 1.6e9 },
  memory: { ms: 0.8 * HOUR_MS, diskBytes: 13e9 },
  isIndexed: false,
};
const SMALL: FolderForecast = { ...LARGE, files: 4, index: { ms: 9, diskBytes: 9 }, memory: { ms: 9, diskBytes: 9 } };

/** An index whose engine forecasts this and counts how often it indexes. */
function indexWith(context: TestContext, forecast: FolderForecast) {
  const folder = folderWith(PROJECT);
  context.after(() => rmSync(folder, { recursive: true }));
  const counts = { indexed: 0, lost: 0 };
  const failure: { error?: LongsightError } = {};
  const engine = {
    ask: async () => forecast,
    request: async () => {
      if (failure.error) throw failure.error;
      if (counts.lost-- > 0) throw new LongsightError("engine-lost", "The engine was lost.");
      counts.indexed++;
      return { files: forecast.files, indexed: forecast.files, ms: 1 };
    },
  } as unknown as EngineHost;
  const index = new FolderIndex({ uri: Uri.file(folder), name: "monorepo", index: 0 }, engine, () => {});
  context.after(() => index.dispose());
  return { index, counts, failure };
}

test("a workspace of 200,000 files is not indexed unasked: one message says what it takes and offers a way", async (context) => {
  const { index, counts } = indexWith(context, LARGE);
  await index.update();
  assert.equal(said.asked.length, 1);
  const [message, ...actions] = said.asked[0];
  assert.match(
    message,
    /^Index monorepo\? 200,000 files, about 171,000,000 tokens\. The index takes about .+ and .+ of disk/,
  );
  assert.deepEqual(actions, ["Index It", "Not Now"]);
  assert.equal(counts.indexed, 0);
  assert.equal(index.state.kind, "none", "the editor goes on without an index");
});

test("agreed to, or asked for by the user, it is indexed", async (context) => {
  const { index, counts } = indexWith(context, LARGE);
  said.choice = "Index It";
  await index.update();
  assert.equal(index.state.kind, "ready");
  const other = indexWith(context, LARGE);
  said.asked.length = 0;
  await other.index.update(true);
  assert.deepEqual([counts.indexed, other.counts.indexed, said.asked.length], [1, 1, 0]);
});

test("a workspace of usual size, or one that has an index, is indexed without a word", async (context) => {
  for (const forecast of [SMALL, { ...LARGE, isIndexed: true }]) {
    const { index } = indexWith(context, forecast);
    await index.update();
    assert.equal(index.state.kind, "ready");
  }
  assert.deepEqual(said.asked, []);
});

test("the engine that follows a lost one takes up what was indexed, and what was being indexed", async (context) => {
  const ready = indexWith(context, SMALL);
  await ready.index.update();
  await ready.index.recover();
  assert.equal(ready.counts.indexed, 2);
  const interrupted = indexWith(context, LARGE);
  interrupted.counts.lost = 1;
  const first = interrupted.index.update(true);
  while (interrupted.index.state.kind !== "indexing") await new Promise(setImmediate);
  await Promise.all([interrupted.index.recover(), first]);
  assert.deepEqual([interrupted.index.state.kind, interrupted.counts.indexed], ["ready", 1]);
  const unwanted = indexWith(context, LARGE);
  await unwanted.index.update();
  await unwanted.index.recover();
  assert.equal(unwanted.counts.indexed, 0, "nobody has asked for it");
});

test("an index that fails says why, once, and offers to try again; a lost engine is no failure", async (context) => {
  const { index, counts, failure } = indexWith(context, SMALL);
  const sentence = "The disk is full; free space and index again.";
  failure.error = new LongsightError("engine-lost", "The engine was lost.");
  await index.update();
  assert.deepEqual(said.asked, []);
  failure.error = new LongsightError("disk-full", sentence);
  for (let i = 0; i < 2; i++) await index.update();
  assert.deepEqual(said.asked, [[sentence, "Try Again", "Show Log"]]);
  failure.error = undefined;
  await index.update();
  assert.equal(index.state.kind, "ready");
  failure.error = new LongsightError("disk-full", sentence);
  await index.update();
  assert.equal(said.asked.length, 2, "it has come again");
  said.choice = "Try Again";
  failure.error = new LongsightError("no-access", "The index cannot be written; check its permissions.");
  const failed = index.update();
  failure.error = undefined;
  await failed;
  while (counts.indexed < 2) await new Promise(setImmediate);
});

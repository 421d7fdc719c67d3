import assert from "node:assert/strict";
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Catalogue } from "../../../engine/memory/catalogue.ts";
import { FolderMemory } from "../../../engine/memory/folder-memory.ts";
import { indexFolder } from "../../../engine/memory/indexer.ts";
import { memoryFingerprint } from "../../../engine/memory/segment-store.ts";
import { openHybrid } from "../../../engine/models/hybrid.ts";
import { loadTokenizerFolder } from "../../../engine/models/tokenizer/folder.ts";
import { defaultModelDir } from "../../../engine/paths.ts";
import { HybridEncoder } from "../../../engine/runtime/hybrid-encoder.ts";
import { temporaryFolder } from "./small-memory.ts";

test("a folder's memory follows its catalogue and encodes only contents that are new", async (context) => {
  const dir = temporaryFolder(context);
  const root = join(dir, "folder");
  mkdirSync(join(root, "src"), { recursive: true });
  const write = (path: string, text: string) => writeFileSync(join(root, path), text);
  write("src/one.ts", 'import { two } from "./two";\r\nexport const one = two + 1;\r\n');
  write("src/two.ts", "/** The number after one. */\nexport const two = 2;\n".repeat(30));
  write("package-lock.json", "{}");
  const model = openHybrid(defaultModelDir);
  const tokenizer = loadTokenizerFolder(defaultModelDir);
  const encoder = await HybridEncoder.open(model, tokenizer, { nThreads: 1 });
  const log: string[] = [];
  const memory = new FolderMemory(
    root,
    {
      encoder,
      tokenizer,
      fingerprint: memoryFingerprint(model, defaultModelDir),
      shape: model.config,
      router: model,
      turn: (run) => run(),
    },
    { dir: join(dir, "store"), log: (line) => log.push(line) },
  );
  const catalogue = Catalogue.open(join(dir, "catalogue"));
  const refresh = async () => {
    await indexFolder(root, { catalogue });
    return memory.refresh(catalogue.files());
  };
  const place = { path: "src/new.ts", head: "", cursorLine: 1, firstLine: 1, lastLine: 1 };
  assert.equal(memory.memoryFor(place), undefined);

  assert.equal((await refresh())?.filesEncoded, 2);
  assert.deepEqual(
    { ...memory.status, nTokens: memory.status.nTokens > 300 },
    { filesEncoded: 2, filesTotal: 2, nTokens: true, encoding: null, isPaused: false },
  );
  assert.ok(memory.memoryFor(place));
  const found = memory.memory.search(await encoder.embedQuestion("the number after one"), 20);
  assert.deepEqual(new Set(found.map(({ path }) => path)), new Set(["src/one.ts", "src/two.ts"]));
  for (const { startLine, endLine } of found) assert.ok(startLine >= 1 && endLine <= 60 && startLine <= endLine);

  write("src/one.ts", "export const one = 1;\n");
  renameSync(join(root, "src/two.ts"), join(root, "src/moved.ts"));
  assert.equal((await refresh())?.filesEncoded, 1);
  assert.equal((await refresh())?.filesEncoded, 0);

  // What comes last takes over from what is at work.
  write("src/three.ts", "export const three = 3;\n");
  await indexFolder(root, { catalogue });
  memory.pause();
  const all = [1, 2, 3].map(() => memory.refresh(catalogue.files()));
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(memory.status.filesEncoded, 2);
  memory.resume();
  const results = await Promise.all(all);
  assert.deepEqual(
    results.map((result) => result?.filesEncoded),
    [undefined, undefined, 1],
  );
  assert.equal(memory.status.filesEncoded, 3);
  assert.deepEqual(log, []);
  await memory.close();
  catalogue.close();
  await encoder.close();
});

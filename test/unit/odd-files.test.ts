/** Files that nobody thinks of go through everything: index, memory, question and completion. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Engine } from "../../engine/engine.ts";
import { folderWith } from "./run-cli.ts";

const MEGABYTE = 1_000_000;
/** One line of 10 MB, as programs write them. */
const LONG_LINE = `[${'{"id":1,"name":"x"},'.repeat(MEGABYTE / 2)}{}]`;

const FILES: Readonly<Record<string, string>> = {
  "recipes.unknownlanguage": "DEFINE Pancake AS\n  flour 200 milk 300 eggs 2\n  WHISK until smooth\nEND Pancake\n",
  "no-extension": "the sourdough starter is fed every morning\n",
  "one-byte": "x",
  "one-byte.py": "\n",
  "empty.ts": "",
  "long-line.json": LONG_LINE,
  "long-line.ts": `export const table = ${LONG_LINE};`,
  "only-breaks.go": "\n".repeat(5000),
  "src/ok.ts": "export function knead(dough: string): string {\n  return dough.trim();\n}\n",
};

test("odd files are indexed, encoded, found and completed", async (context) => {
  process.env.LONGSIGHT_CACHE = mkdtempSync(join(tmpdir(), "longsight-cache-"));
  const folder = folderWith(FILES);
  context.after(() => rmSync(folder, { recursive: true }));
  const engine = new Engine();
  context.after(() => engine.close());

  const index = await engine.index(folder);
  assert.equal(index.files + Object.values(index.skipped).reduce((a, b) => a + b, 0), Object.keys(FILES).length);
  const encoded = await engine.encode(folder);
  assert.equal(encoded?.filesLeft, 0);
  assert.ok((encoded?.filesEncoded ?? 0) >= 6, `${encoded?.filesEncoded}`);

  for (const [question, file] of [
    ["Where is the Pancake of flour, milk and eggs defined?", "recipes.unknownlanguage"],
    ["Is the sourdough starter fed every morning?", "no-extension"],
    ["Where is the function knead for dough?", "src/ok.ts"],
  ]) {
    // So small a folder has too few words to tell chance from evidence: the place is given.
    const { citations } = await engine.ask({ folder, question, paths: [file] });
    assert.equal(citations[0]?.file, file, question);
    assert.equal(typeof (await engine.ask({ folder, question })).answer, "string");
  }

  for (const [path, text] of Object.entries(FILES)) {
    for (const at of new Set([0, text.length >> 1, text.length])) {
      const place = { folder, path, prefix: text.slice(0, at), suffix: text.slice(at) };
      const completion = await engine.complete({ ...place, maxTokens: 4 });
      assert.ok(completion.nTokens <= 4, path);
      assert.ok(completion.text.length < 200, path);
    }
  }
});

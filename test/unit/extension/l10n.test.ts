/** The texts shown at run time, and the bundle that translations start from. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { packageRoot } from "../../../engine/paths.ts";
import { l10nTexts } from "../../l10n.ts";

const read = (path: string) => JSON.parse(readFileSync(join(packageRoot, path), "utf8"));
const bundle: Record<string, string> = read("l10n/bundle.l10n.json");

suite("texts shown at run time", () => {
  test("all are in the bundle, each under itself, and none is left over", () => {
    const texts = l10nTexts();
    assert.ok(texts.length > 100, `${texts.length} texts`);
    assert.deepEqual(Object.keys(bundle), texts, 'run "npm run l10n"');
    for (const [key, text] of Object.entries(bundle)) assert.equal(text, key);
  });

  test("their places are numbered from 0 without a gap", () => {
    for (const text of Object.keys(bundle)) {
      const places = new Set([...text.matchAll(/\{(\d+)\}/g)].map(([, place]) => Number(place)));
      assert.deepEqual([...places].sort(), [...places.keys()].map((_, at) => at).sort(), text);
    }
  });

  test("the editor is told where the bundle is", () => {
    assert.equal(read("package.json").l10n, "./l10n");
  });
});

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { FolderCopies } from "../../../engine/complete/folder-copies.ts";
import { Engine } from "../../../engine/engine.ts";
import { Catalogue } from "../../../engine/memory/catalogue.ts";
import { indexFolder } from "../../../engine/memory/indexer.ts";

const LINE = "export const quotient = divideExactly(numerator, denominator, { rounding: 'down' });\n";
const utf8 = (text: string) => new TextEncoder().encode(text);

function folderFor(context: { after(hook: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), "longsight-copies-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, "src"));
  return folder;
}

test("the copies follow the catalogue: new, changed and removed files", async (context) => {
  const folder = folderFor(context);
  const catalogue = Catalogue.open(mkdtempSync(join(tmpdir(), "longsight-catalogue-")));
  context.after(() => catalogue.close());
  const copies = new FolderCopies(folder);
  const update = async () => {
    await indexFolder(folder, { catalogue });
    await copies.update(catalogue.files());
  };
  const next = () => copies.index.longest(utf8("export const quotient =")).map((match) => match.next.length);
  writeFileSync(join(folder, "src/a.ts"), LINE);
  writeFileSync(join(folder, "src/b.ts"), "x\n");
  await update();
  const length = LINE.length - "export const quotient =".length;
  assert.deepEqual(next(), [length]);
  writeFileSync(join(folder, "src/b.ts"), `// twice\n${LINE}`);
  writeFileSync(join(folder, "src/huge.ts"), LINE.repeat(5000));
  await update();
  assert.deepEqual(next(), [length, length]);
  rmSync(join(folder, "src/a.ts"));
  writeFileSync(join(folder, "src/b.ts"), "// gone\n");
  await update();
  assert.deepEqual(next(), []);
});

test("a file that changed since it was indexed waits for the next index", async (context) => {
  const folder = folderFor(context);
  const catalogue = Catalogue.open(mkdtempSync(join(tmpdir(), "longsight-catalogue-")));
  context.after(() => catalogue.close());
  writeFileSync(join(folder, "src/a.ts"), LINE);
  await indexFolder(folder, { catalogue });
  writeFileSync(join(folder, "src/a.ts"), "other\n");
  const copies = new FolderCopies(folder);
  await copies.update(catalogue.files());
  assert.equal(copies.index.sizeBytes, 0);
});

test("the engine completes a repeated line from another file, after an edit from its new text", async (context) => {
  process.env.LONGSIGHT_CACHE = mkdtempSync(join(tmpdir(), "longsight-cache-"));
  const folder = folderFor(context);
  const engine = new Engine();
  context.after(() => engine.close());
  const complete = async () => {
    const place = {
      path: "src/new.ts",
      prefix: "import x from 'y';\n\nexport const quotient = divideExactly(",
      suffix: "\n",
    };
    return (await engine.complete({ folder, ...place })).text;
  };
  writeFileSync(join(folder, "src/a.ts"), LINE);
  await engine.index(folder);
  assert.equal(await complete(), "numerator, denominator, { rounding: 'down' });");
  writeFileSync(join(folder, "src/a.ts"), LINE.replace("down", "nearest"));
  await engine.index(folder);
  // The new text is taken up behind the index; until then the old one stands.
  let text = await complete();
  for (let i = 0; i < 100 && text.includes("down"); i++) {
    await delay(50);
    text = await complete();
  }
  assert.equal(text, "numerator, denominator, { rounding: 'nearest' });");
});

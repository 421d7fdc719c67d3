import assert from "node:assert/strict";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { LongsightError } from "../../../engine/errors.ts";
import { catalogueDir } from "../../../engine/memory/catalogue.ts";
import { indexFolder } from "../../../engine/memory/indexer.ts";
import { open, scratch, write } from "./folder.ts";

const FILES = {
  "src/door.ts":
    "/** Opens it. */\nexport function openDoor(key) {\n  turn(key);\n  push(door, door);\n}\n\nclass Door {\n  close() {\n    pull(door);\n    lock();\n  }\n  paint() {\n    brush();\n    wait();\n  }\n}\n",
  "src/window.ts": "export function open() {\n  glass(window);\n  door();\n}\n",
  "src/Opendoor.py": "def opendoor():\n    pass\n",
  "readme.txt": "A window and a door.\n",
};

async function house(context: TestContext) {
  const folder = scratch(context);
  write(folder, FILES);
  const catalogue = open(context, scratch(context));
  await indexFolder(folder, { catalogue });
  return catalogue;
}

test("spans are found best first, repeats of a term count, weights decide between name and text", async (t) => {
  const catalogue = await house(t);
  const files = (terms: string[], weights?: { body: number; symbol: number; path: number }) =>
    catalogue.spans(catalogue.searchSpans(terms, 10, weights).map(({ spanId }) => spanId)).map(({ file }) => file);
  const hits = catalogue.searchSpans(["door"], 10);
  assert.ok(hits.length >= 4);
  for (const [i, { score }] of hits.entries()) assert.ok(score > 0 && score <= (hits[i - 1]?.score ?? Infinity));
  assert.equal(files(["window", "glass"])[0], "src/window.ts");
  assert.ok(catalogue.searchSpans(["glass", "glass"], 1)[0].score > 1.9 * catalogue.searchSpans(["glass"], 1)[0].score);
  assert.deepEqual(files(["opendoor"], { body: 0, symbol: 1, path: 0 }).sort(), ["src/Opendoor.py", "src/door.ts"]);
  assert.deepEqual(files(["opendoor"], { body: 0, symbol: 0, path: 1 })[0], "src/Opendoor.py");
  assert.equal(catalogue.searchSpans(["door"], 2).length, 2);
});

test("whole files and paths are found by their own words", async (t) => {
  const catalogue = await house(t);
  assert.equal(catalogue.searchFiles(["glass", "window"], 5)[0].path, "src/window.ts");
  assert.deepEqual(
    catalogue.pathsMatching(["window"], 5).map(({ path }) => path),
    ["src/window.ts"],
  );
  assert.deepEqual(catalogue.pathsMatching(["glass"], 5), []);
});

test("no terms, unknown terms and terms that look like a query find nothing and break nothing", async (t) => {
  const catalogue = await house(t);
  for (const terms of [[], ["unicorn"], ['"'], ['a" OR "b'], ["NEAR("], ["-"], [""]]) {
    for (const hits of [
      catalogue.searchSpans(terms, 5),
      catalogue.searchFiles(terms, 5),
      catalogue.pathsMatching(terms, 5),
    ]) {
      assert.deepEqual(hits, [], JSON.stringify(terms));
    }
  }
  assert.equal(catalogue.spanFrequency(["unicorn"]).size, 0);
});

test("frequencies count spans", async (t) => {
  const catalogue = await house(t);
  const spans = catalogue.files().flatMap(({ path }) => catalogue.spansOf(path));
  const frequency = catalogue.spanFrequency(["glass", "window", "unicorn"]);
  assert.deepEqual([...frequency].sort(), [
    ["glass", 1],
    ["window", 2],
  ]);
  assert.equal(catalogue.stats().nSpans, spans.length);
});

test("symbols are found by name in any case, with their place and the span they begin in", async (t) => {
  const catalogue = await house(t);
  const symbols = catalogue.symbolsNamed(["OPENDOOR", "close"]);
  assert.deepEqual(
    symbols.map(({ name, file, kind, container, startLine }) => [name, file, kind, container, startLine]),
    [
      ["opendoor", "src/Opendoor.py", "function", null, 1],
      ["openDoor", "src/door.ts", "function", null, 2],
      ["close", "src/door.ts", "method", "Door", 8],
    ],
  );
  for (const { spanId, startLine } of symbols) {
    const span = catalogue.span(spanId)!;
    assert.ok(span.startLine <= startLine && startLine <= span.endLine);
  }
  assert.equal(symbols[1].signature, "export function openDoor(key)");
  assert.deepEqual(catalogue.symbolsNamed([]), []);
});

test("spans carry their lines and doc comment, in the order asked for; ids that are gone are left out", async (t) => {
  const catalogue = await house(t);
  const [first, ...rest] = catalogue.spansOf("src/door.ts");
  assert.deepEqual([first.startLine, first.endLine, first.docText], [1, 6, "/** Opens it. */"]);
  assert.equal(first.text, FILES["src/door.ts"].split("\n").slice(0, 6).join("\n"));
  const ids = [rest[0].id, 12345678901, first.id];
  assert.deepEqual(
    catalogue.spans(ids).map(({ id }) => id),
    [rest[0].id, first.id],
  );
  assert.equal(catalogue.span(-1), undefined);
  assert.deepEqual(catalogue.spansOf("nowhere.ts"), []);
  assert.equal(catalogue.file("nowhere.ts"), undefined);
});

test("a folder has one catalogue whatever path leads to it", (t) => {
  const base = scratch(t);
  write(base, { "folder/a.ts": "" });
  symlinkSync("folder", join(base, "link"));
  assert.equal(catalogueDir(join(base, "link")), catalogueDir(join(base, "folder", "..", "folder")));
  assert.notEqual(catalogueDir(base), catalogueDir(join(base, "folder")));
  assert.throws(
    () => catalogueDir(join(base, "gone")),
    (error: unknown) => error instanceof LongsightError && error.code === "not-found",
  );
});

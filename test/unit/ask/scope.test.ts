import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { isInScope, scopedCatalogue } from "../../../engine/ask/scope.ts";
import { Engine } from "../../../engine/engine.ts";
import { Catalogue } from "../../../engine/memory/catalogue.ts";
import { indexFolder } from "../../../engine/memory/indexer.ts";
import { packageRoot } from "../../../engine/paths.ts";

const EVERYTHING = 1_000_000;

suite("a catalogue seen through some paths", () => {
  const work = mkdtempSync(join(tmpdir(), "longsight-scope-"));
  let catalogue: Catalogue;

  before(async () => {
    const folder = join(work, "folder");
    cpSync(join(packageRoot, "engine", "ask"), join(folder, "ask"), { recursive: true });
    cpSync(join(packageRoot, "engine", "memory"), join(folder, "memory"), { recursive: true });
    catalogue = Catalogue.open(join(work, "catalogue"));
    await indexFolder(folder, { catalogue });
  });
  after(() => {
    catalogue.close();
    rmSync(work, { recursive: true, force: true });
  });

  test("a path is inside when it is named, or lies in a folder that is", () => {
    assert.ok(isInScope("ask/ask.ts", ["ask/"]));
    assert.ok(isInScope("ask/ask.ts", ["memory/", "ask/ask.ts"]));
    assert.ok(!isInScope("asking.ts", ["ask/"]));
    assert.ok(!isInScope("ask/ask.ts", ["ask"]));
  });

  test("searches give what the whole catalogue gives, less what lies outside, however small the limit", () => {
    const terms = ["span", "file", "term"];
    for (const paths of [["ask/"], ["ask/rankers/"], ["memory/indexer.ts", "ask/ask.ts"], ["nowhere/"]]) {
      const scoped = scopedCatalogue(catalogue, paths);
      const fileOf = new Map(
        catalogue.files().flatMap(({ path }) => catalogue.spansOf(path).map(({ id }) => [id, path])),
      );
      const spans = catalogue
        .searchSpans(terms, EVERYTHING)
        .filter(({ spanId }) => isInScope(fileOf.get(spanId)!, paths));
      const files = catalogue.searchFiles(terms, EVERYTHING).filter(({ path }) => isInScope(path, paths));
      for (const limit of [1, 3, 1000]) {
        assert.deepEqual(scoped.searchSpans(terms, limit), spans.slice(0, limit));
        assert.deepEqual(scoped.searchFiles(terms, limit), files.slice(0, limit));
      }
    }
  });

  test("symbols, spans and files outside are not there", () => {
    const scoped = scopedCatalogue(catalogue, ["ask/"]);
    assert.deepEqual(scoped.symbolsNamed(["indexFolder"]), []);
    assert.equal(scoped.symbolsNamed(["retrieve"]).length, 1);
    assert.deepEqual(scoped.spansOf("memory/indexer.ts"), []);
    assert.equal(scoped.file("memory/indexer.ts"), undefined);
    assert.ok(scoped.files().every(({ path }) => path.startsWith("ask/")));
    const outside = catalogue.spansOf("memory/indexer.ts")[0].id;
    assert.equal(scoped.span(outside), undefined);
    assert.deepEqual(scoped.spans([outside]), []);
  });
});

test("asked about some paths only, the best of them answers, and nothing else is cited", async () => {
  const cache = mkdtempSync(join(tmpdir(), "longsight-scope-"));
  const before = process.env.LONGSIGHT_CACHE;
  process.env.LONGSIGHT_CACHE = cache;
  const engine = new Engine();
  try {
    const folder = join(packageRoot, "engine", "ask");
    const question = "who imports the thing about names?";
    const { found, citations } = await engine.ask({ folder, question, paths: ["rankers/"] });
    assert.ok(found);
    assert.ok(citations.length > 0 && citations.every(({ file }) => file.startsWith("rankers/")));
  } finally {
    await engine.close();
    if (before === undefined) delete process.env.LONGSIGHT_CACHE;
    else process.env.LONGSIGHT_CACHE = before;
    rmSync(cache, { recursive: true, force: true });
  }
});

test("symbols are found by a part of their name, those that start with it first", async () => {
  const cache = mkdtempSync(join(tmpdir(), "longsight-symbols-"));
  const catalogue = Catalogue.open(join(cache, "catalogue"));
  try {
    const folder = join(packageRoot, "test", "e2e", "fixtures", "library");
    await indexFolder(folder, { catalogue });
    const names = (part: string, limit = 10) => catalogue.symbolsContaining(part, limit).map(({ name }) => name);
    assert.deepEqual(names("fine"), ["fine_for", "total_fines", "MAX_FINE_CENTS", "DAILY_FINE_CENTS"]);
    assert.deepEqual(names("FINE_"), ["fine_for", "MAX_FINE_CENTS", "DAILY_FINE_CENTS"]);
    assert.deepEqual(names("fine", 1), ["fine_for"]);
    assert.deepEqual(names("%"), []);
  } finally {
    catalogue.close();
    rmSync(cache, { recursive: true, force: true });
  }
});

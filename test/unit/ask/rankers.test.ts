import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { coverage, gatherEvidence } from "../../../engine/ask/evidence.ts";
import { fuse } from "../../../engine/ask/fusion.ts";
import { parseQuery } from "../../../engine/ask/query.ts";
import { wholeFile } from "../../../engine/ask/rankers/file.ts";
import { pathWords, scope, spelledOut } from "../../../engine/ask/rankers/path.ts";
import { bestSpan, secondSpan } from "../../../engine/ask/rankers/spans.ts";
import { definedSymbol } from "../../../engine/ask/rankers/symbol.ts";
import { retrieve } from "../../../engine/ask/retrieve.ts";
import { indexed, SERVER } from "./indexed.ts";

async function evidenceFor(context: TestContext, question: string, files: Record<string, string> = SERVER) {
  return gatherEvidence(parseQuery(question), await indexed(context, files));
}

/** The keys of a ranking, best first. */
const order = (ranking: Map<string, number>) => [...ranking].sort((a, b) => b[1] - a[1]).map(([path]) => path);

test("evidence: rare words tell more, unknown ones nothing, and scores are shares of the full score", async (t) => {
  const { idf, known, spans, rarest } = await evidenceFor(t, "expire sessions middleware zebra");
  assert.equal(idf.get("zebra"), 0);
  assert.ok(!known.includes("zebra"));
  assert.ok(idf.get("purg") === undefined && idf.get("expir")! > idf.get("middlewar")!);
  assert.ok([...idf.values()].every((weight) => weight <= rarest));
  assert.ok(spans.length > 0);
  for (const [i, { score }] of spans.entries()) {
    assert.ok(score > 0 && score < 1.5 && score <= (spans[i - 1]?.score ?? Infinity), `score ${score}`);
  }
});

test("coverage is the share of what the question's known words tell", async (t) => {
  const evidence = await evidenceFor(t, "expire sessions zebra");
  assert.equal(coverage(evidence, new Set(["expir", "session"])), 1);
  assert.equal(coverage(evidence, new Set(["zebra"])), 0);
  const half = coverage(evidence, new Set(["session"]));
  assert.ok(half > 0 && half < 1);
  assert.equal(coverage(await evidenceFor(t, "zebra unicorn"), new Set(["zebra"])), 0);
});

test("a file ranks by its best span, and by its second best", async (t) => {
  const evidence = await evidenceFor(t, "trie router match path");
  const best = bestSpan(evidence);
  const second = secondSpan(evidence);
  assert.equal(order(best)[0], "src/router/trie-router.ts");
  assert.ok(second.get("src/router/trie-router.ts")! <= best.get("src/router/trie-router.ts")!);
  assert.ok(!second.has("src/middleware/etag.ts"));
});

test("a whole file ranks by words that lie far apart in it", async (t) => {
  const filler = Array.from({ length: 80 }, (_, i) => `  step${i}();\n`).join("");
  const files = {
    "a.ts": `function one() {\n  zebra();\n${filler}}\nfunction two() {\n  unicorn();\n${filler}}\n`,
    "b.ts": `function three() {\n  zebra();\n${filler}}\nfunction four() {\n${filler}}\n`,
    "c.ts": "export const nothing = 1;\n",
  };
  assert.deepEqual(order(wholeFile(await evidenceFor(t, "zebra unicorn", files))), ["a.ts", "b.ts"]);
});

test("words of the path, a scope in it, and a path spelled out", async (t) => {
  const words = pathWords(await evidenceFor(t, "router of the trie"));
  assert.equal(words.get("src/router/trie-router.ts"), 1);
  assert.equal(scope(await evidenceFor(t, "fix(etag): compare weakly")).get("src/middleware/etag.ts"), 1);
  assert.equal(scope(await evidenceFor(t, "compare etags weakly")).size, 0);
  const spelled = spelledOut(await evidenceFor(t, "what does middleware/csrf.ts refuse"));
  assert.deepEqual([...spelled], [["src/middleware/csrf.ts", 1]]);
});

test("the file that defines what the question names; the rarer the name the more it tells", async (t) => {
  const files = { ...SERVER, "a.py": "def close_all():\n    pass\n", "b.py": "def close_all():\n    pass\n" };
  assert.deepEqual(order(definedSymbol(await evidenceFor(t, "who calls splitPath?", files))), [
    "src/url/split-path.ts",
  ]);
  const both = definedSymbol(await evidenceFor(t, "splitPath and close_all", files));
  assert.ok(both.get("src/url/split-path.ts")! > both.get("a.py")!);
  assert.equal(both.get("a.py"), both.get("b.py"));
});

test("fusion: tests and documents stand behind the code unless the question speaks of them", async (t) => {
  const catalogue = await indexed(t, SERVER);
  const best = (question: string) => fuse(gatherEvidence(parseQuery(question), catalogue))[0].path;
  assert.equal(best("csrf refuses a form of another site"), "src/middleware/csrf.ts");
  assert.equal(best("which test checks that csrf refuses a form of another site"), "test/middleware/csrf.test.ts");
  assert.equal(best("how long are sessions kept according to the guide"), "docs/guide.md");
});

test("fusion orders by score, then by path, the same way every time", async (t) => {
  const twin = "/** Counts zebras. */\nexport function count() {\n  return zebras.length;\n}\n";
  const catalogue = await indexed(t, { "b/x.ts": twin, "a/x.ts": twin, "c.ts": "export const other = 1;\n" });
  const ranked = fuse(gatherEvidence(parseQuery("count zebras"), catalogue));
  assert.deepEqual(
    ranked.map(({ path }) => path),
    ["a/x.ts", "b/x.ts"],
  );
  assert.equal(ranked[0].score, ranked[1].score);
});

test("retrieval puts the span that defines a name before those that use it, and no file fills the answer", async (t) => {
  const uses = Array.from(
    { length: 6 },
    (_, i) => `/** Calls openDoor ${i}. */\nfunction use${i}() {\n  openDoor();\n  openDoor();\n}\n`,
  );
  const files = { "uses.ts": uses.join("\n"), "door.ts": "function openDoor() {\n  return 1;\n}\n" };
  const { spans } = retrieve(parseQuery("openDoor"), await indexed(t, files));
  assert.equal(spans[0].span.symbol, "openDoor");
  assert.equal(spans.filter(({ span }) => span.file === "uses.ts").length, 3);
});

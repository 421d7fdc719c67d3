import assert from "node:assert/strict";
import { test } from "node:test";
import { grammarAtHand, grammarOf } from "../../../engine/workspace/grammars.ts";
import { languageOf } from "../../../engine/workspace/languages.ts";

test("a grammar that is not at hand is loaded for the next time, once", async () => {
  const css = languageOf("a.css")!;
  assert.equal(grammarAtHand(css), undefined);
  const grammar = await grammarOf(css);
  assert.equal(grammarAtHand(css), grammar);
  assert.equal(await grammarOf(css), grammar);
  const tree = grammar.parser.parse("a { color: red; }");
  assert.equal(tree?.rootNode.hasError, false);
  tree?.delete();
});

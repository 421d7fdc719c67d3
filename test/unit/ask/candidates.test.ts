import assert from "node:assert/strict";
import { test } from "node:test";
import { candidatesOf, QUERY_FEATURES, UNIT_FEATURES, unitsOf } from "../../../engine/ask/candidates.ts";
import { parseQuery } from "../../../engine/ask/query.ts";
import { retrieve } from "../../../engine/ask/retrieve.ts";
import type { StoredSpan } from "../../../engine/memory/catalogue-types.ts";
import { indexed, SERVER } from "./indexed.ts";

function span(text: string, startLine: number): StoredSpan {
  const endLine = startLine + text.split("\n").length - 1;
  return { id: 1, file: "a.ts", startLine, endLine, symbol: null, kind: null, container: null, text, docText: "" };
}

test("units are a few lines; blank lines and the end of an indented part end one", () => {
  const units = unitsOf([span("  a\n    b\n  c\n  d\n\n    e\n  f", 11), span("g", 5)]);
  assert.deepEqual(units, [
    { span: 0, startLine: 11, endLine: 13, text: "  a\n    b\n  c" },
    { span: 0, startLine: 14, endLine: 14, text: "  d" },
    { span: 0, startLine: 16, endLine: 16, text: "    e" },
    { span: 0, startLine: 17, endLine: 17, text: "  f" },
    { span: 1, startLine: 5, endLine: 5, text: "g" },
  ]);
});

test("every unit has finite features, and those that say the question's words more of them", async (context) => {
  const { evidence, spans } = retrieve(parseQuery("how are expired sessions purged"), await indexed(context, SERVER));
  const { units, features, query } = candidatesOf(evidence, spans);
  assert.equal(features.length, units.length * UNIT_FEATURES);
  assert.equal(query.length, QUERY_FEATURES);
  assert.ok([...features, ...query].every(Number.isFinite));
  const covered = units.map((_, i) => features[i * UNIT_FEATURES]);
  const best = units[covered.indexOf(Math.max(...covered))];
  assert.match(best.text, /purge_expired/);
});

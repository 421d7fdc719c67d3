import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { stem, termsOf } from "../../../engine/memory/terms.ts";

test("identifiers give their parts and their whole, whatever their style", () => {
  assert.deepEqual(termsOf("getUserName"), ["get", "user", "nam", "getusernam"]);
  assert.deepEqual(termsOf("get_user_name"), termsOf("getUserName"));
  assert.deepEqual(termsOf("GET_USER_NAME"), termsOf("getUserName"));
  assert.deepEqual(termsOf("HTTPServer2"), ["http", "server", "httpserver2"]);
  assert.deepEqual(termsOf("sha256"), ["sha", "256", "sha256"]);
  assert.deepEqual(termsOf("__init__"), ["init"]);
});

test("words lose case, punctuation and inflection", () => {
  assert.deepEqual(termsOf("The queries, parsed."), ["the", "query", "pars"]);
  for (const family of [
    "cache caches cached caching",
    "query queries queried",
    "match matches matched matching",
    "parse parses parsed parsing",
    "run runs running",
  ]) {
    assert.equal(new Set(termsOf(family)).size, 1, family);
  }
  for (const kept of ["class", "status", "string", "need", "http2", "is"]) assert.equal(stem(kept), kept);
});

test("other scripts are found: accents, Greek, and pairs where words have no spaces", () => {
  assert.deepEqual(termsOf("Größe naïve ΑΒΓ"), ["größ", "naïv", "αβγ"]);
  assert.deepEqual(termsOf("缓存大小"), ["缓存", "存大", "大小"]);
  assert.deepEqual(termsOf("cafe\u0301"), termsOf("caf\u00e9"));
});

test("encoded data gives no terms", () => {
  assert.deepEqual(termsOf("A".repeat(100)), []);
});

test("terms hold no separators, whatever the text", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      for (const term of termsOf(text)) assert.match(term, /^[^\s"]+$/);
    }),
    { numRuns: 40 },
  );
});

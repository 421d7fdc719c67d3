import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { CompletionCache, type Place, remainder } from "../../../extension/completion/cache.ts";

const place = (prefix: string, suffix = "\n", key = "file 0"): Place => ({ key, prefix, suffix });

suite("completion cache", () => {
  test("typing what is suggested leaves the rest of it", () => {
    const cache = new CompletionCache();
    cache.add(place("ret"), "urn first;");
    assert.equal(cache.find(place("ret")), "urn first;");
    assert.equal(cache.find(place("return")), " first;");
    assert.equal(cache.find(place("return first;")), undefined);
  });

  test("another way, another text behind the cursor or another key finds nothing", () => {
    const cache = new CompletionCache();
    cache.add(place("ret"), "urn first;");
    assert.equal(cache.find(place("rest")), undefined);
    assert.equal(cache.find(place("ret", "x\n")), undefined);
    assert.equal(cache.find(place("ret", "\n", "file 1")), undefined);
    assert.equal(cache.find(place("re")), undefined);
  });

  test("that nothing is to be suggested is remembered for its place alone", () => {
    const cache = new CompletionCache();
    cache.add(place("a"), "");
    assert.equal(cache.find(place("a")), "");
    assert.equal(cache.find(place("ab")), undefined);
  });

  test("a surrogate pair is not left in halves", () => {
    assert.equal(remainder(place("x"), "😀y", place("x\uD83D")), undefined);
    assert.equal(remainder(place("x"), "😀y", place("x😀")), "y");
  });

  test("the newest entries survive", () => {
    const cache = new CompletionCache();
    for (let n = 0; n < 500; n++) cache.add(place(`${n};`), "text");
    assert.equal(cache.find(place("0;")), undefined);
    assert.equal(cache.find(place("499;")), "text");
  });

  test("what is found always continues the place to what was suggested", () => {
    const word = fc.string({ maxLength: 6 });
    fc.assert(
      fc.property(word, fc.string({ minLength: 1, maxLength: 12 }), fc.nat(14), (prefix, text, typed) => {
        const cache = new CompletionCache();
        cache.add(place(prefix), text);
        const here = prefix + text.slice(0, typed);
        const found = cache.find(place(here));
        if (found) assert.equal(here + found, prefix + text);
        else assert.ok(typed >= text.length || /[\uDC00-\uDFFF]/.test(text[typed]));
      }),
    );
  });
});

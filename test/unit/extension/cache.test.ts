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
    assert.equal(cache.size, 200);
  });

  test("what was used lately survives what was not", () => {
    const cache = new CompletionCache();
    for (let n = 0; n < 200; n++) cache.add(place(`${n};`), "text");
    cache.find(place("0;te"));
    for (let n = 200; n < 300; n++) cache.add(place(`${n};`), "text");
    assert.equal(cache.find(place("0;")), "text");
    assert.equal(cache.find(place("1;")), undefined);
  });

  test("it finds what looking at every entry finds, the one used last first", () => {
    const letters = (maxLength: number) => fc.string({ unit: fc.constantFrom("a", "b", "\n"), maxLength });
    const at = fc.record({ key: fc.constantFrom("x", "y"), prefix: letters(5), suffix: fc.constantFrom("", "b") });
    const step = fc.record({ at, text: fc.option(letters(6), { nil: undefined }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const cache = new CompletionCache();
        let list: { at: Place; text: string }[] = [];
        for (const { at, text } of steps) {
          const isHere = (one: { at: Place }) =>
            one.at.key === at.key && one.at.prefix === at.prefix && one.at.suffix === at.suffix;
          if (text !== undefined) {
            cache.add(at, text);
            list = [...list.filter((one) => !isHere(one)), { at, text }];
            continue;
          }
          const rest = (one: (typeof list)[number]) =>
            one.text === "" && isHere(one) ? "" : remainder(one.at, one.text, at);
          const newest = list.findLast((one) => rest(one) !== undefined);
          assert.equal(cache.find(at), newest && rest(newest));
          if (newest) list = [...list.filter((one) => one !== newest), newest];
        }
      }),
      { numRuns: 500 },
    );
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

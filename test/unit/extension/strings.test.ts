import assert from "node:assert/strict";
import { test } from "node:test";
import { withBlankStrings } from "../../../extension/completion/strings.ts";

test("strings are blanked to their end, escapes included, lifetimes and apostrophes are not", () => {
  assert.equal(withBlankStrings('a("(\\"") + `)`'), "a(     ) +    ");
  assert.equal(withBlankStrings("c == '(' && d"), "c ==     && d");
  assert.equal(withBlankStrings("fn f<'a>(x: &'a str)"), "fn f<'a>(x: &'a str)");
  assert.equal(withBlankStrings('"open (\n")"'), '"open (\n   ');
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { goesOnInName, NameIndex, nameBegunIn, namesOf } from "../../../engine/complete/name-index.ts";

test("names are words of three characters and more, in any script, numbers are not", () => {
  assert.deepEqual(namesOf("if (a.parse_all(x1y, 1234)) $el = größe;"), ["parse_all", "x1y", "$el", "größe"]);
  assert.equal(nameBegunIn("self.resp"), "resp");
  assert.equal(nameBegunIn("x = 12"), "");
  assert.equal(nameBegunIn("f("), "");
  assert.equal(nameBegunIn("x = 0xab"), "");
  assert.ok(goesOnInName("se()") && !goesOnInName(".x") && !goesOnInName(""));
});

test("punctuation and symbols of any script are no part of a name, letters of any plane are", () => {
  assert.deepEqual(namesOf("“quoted”—naïve… «имя» 变量一。foo×bar 𝒳𝒴𝒵 →arrow"), [
    ...["quoted", "naïve", "имя", "变量一", "foo", "bar", "𝒳𝒴𝒵", "arrow"],
  ]);
  assert.equal(nameBegunIn("“resp"), "resp");
  assert.equal(nameBegunIn("resp…"), "");
  assert.equal(nameBegunIn("x = 𝒳𝒴"), "𝒳𝒴");
  assert.ok(!goesOnInName("”") && !goesOnInName("—x") && goesOnInName("ß") && goesOnInName("𝒳"));
});

test("words that are too long for names are none", () => {
  const data = "abcdef0123".repeat(2400);
  assert.deepEqual(namesOf(`x.longest = "${data}"; ${"n".repeat(100)}`), ["longest", "n".repeat(100)]);
  assert.equal(nameBegunIn(`x = "${data}`), "");
  assert.equal(nameBegunIn("n".repeat(100)), "n".repeat(100));
});

test("what goes on from a beginning, with the number of files, follows the files", () => {
  const index = new NameIndex();
  const found = (begun: string) => [...index.goingOn(begun)].map(({ name, nFiles }) => `${name} ${nFiles}`).sort();
  index.set("a.ts", "response respond response other");
  index.set("b.ts", "response");
  assert.deepEqual(found("resp"), ["respond 1", "response 2"]);
  assert.deepEqual(found("response"), []);
  assert.deepEqual(found("r"), []);
  assert.equal(index.nFilesOf("response"), 2);
  index.set("a.ts", "respond");
  assert.deepEqual(found("re"), ["respond 1", "response 1"]);
  index.remove("b.ts");
  index.remove("never there");
  assert.deepEqual(found("re"), ["respond 1"]);
  assert.equal(index.nFilesOf("response"), 0);
});

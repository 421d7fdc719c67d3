import assert from "node:assert/strict";
import { test } from "node:test";
import { languageName, languageOf } from "../../../engine/workspace/languages.ts";
import { cutFile } from "../../../engine/workspace/spans.ts";
import { QUERIES } from "../../../engine/workspace/symbol-queries.ts";
import { syntaxOf } from "../../../engine/workspace/syntax.ts";

/** For each grammar: a file, and its symbols as "kind container.name first-last line". */
const CASES: Record<string, [file: string, text: string, symbols: string[]]> = {
  bash: [
    "a.sh",
    "greet() {\n  echo hi\n}\nFOO=1\nexport BAR=2\n",
    ["function greet 1-3", "variable FOO 4-4", "variable BAR 5-5"],
  ],
  "c-sharp": [
    "a.cs",
    "namespace N {\n  class C : D {\n    int P { get; }\n    C() {}\n    void M() {\n    }\n  }\n  interface I {}\n  enum E { A }\n}\n",
    [
      "namespace N 1-10",
      "class N.C 2-7",
      "property C.P 3-3",
      "method C.C 4-4",
      "method C.M 5-6",
      "interface N.I 8-8",
      "enum N.E 9-9",
    ],
  ],
  cpp: [
    "a.h",
    "#define MAX 3\ntemplate <class T>\nclass A {\n  int m(int a) const;\n};\nint n::A::m(int a) const {\n  return a;\n}\nstatic char *g(void) {\n}\nconst int kMax = 3;\n",
    ["macro MAX 1-1", "class A 2-5", "method A.m 4-4", "method A.m 6-8", "function g 9-10", "constant kMax 11-11"],
  ],
  css: ["a.css", ".a > b {\n  c: d;\n}\n", ["rule .a > b 1-3"]],
  go: [
    "a.go",
    "package p\nfunc F() {\n}\nfunc (r *R) M() {}\ntype R struct {\n}\ntype I interface {\n\tQ()\n}\nconst (\n\tX = iota\n\tY\n)\nvar V, W = 1, 2\n",
    [
      "function F 2-3",
      "method R.M 4-4",
      "struct R 5-6",
      "interface I 7-9",
      "method I.Q 8-8",
      "constant X 11-11",
      "constant Y 12-12",
      "variable V 14-14",
      "variable W 14-14",
    ],
  ],
  ini: ["a.ini", "[one]\na = b\n[two]\nc = d\n", ["section one 1-2", "section two 3-4"]],
  java: [
    "A.java",
    "class A<T> {\n  static final int K = 1;\n  A() {}\n  @Override\n  public void m() {\n  }\n  interface I { void q(); }\n}\n",
    ["class A 1-8", "field A.K 2-2", "method A.A 3-3", "method A.m 4-6", "interface A.I 7-7", "method I.q 7-7"],
  ],
  javascript: [
    "a.mjs",
    "export function f() {\n  function g() {}\n}\nclass A {\n  m() {}\n  x = () => {};\n}\nconst h = () => {\n};\nmodule.exports.z = function () {};\nconst K = 1;\n",
    [
      "function f 1-3",
      "function f.g 2-2",
      "class A 4-7",
      "method A.m 5-5",
      "method A.x 6-6",
      "function h 8-9",
      "function z 10-10",
      "constant K 11-11",
    ],
  ],
  php: [
    "a.php",
    "<?php\nfunction f() {}\nclass C {\n  const K = 1;\n  public function m() {}\n}\ntrait T {}\n",
    ["function f 2-2", "class C 3-6", "constant C.K 4-4", "method C.m 5-5", "trait T 7-7"],
  ],
  powershell: [
    "a.ps1",
    "function Get-Foo {\n}\nclass A {\n  [void] M() {}\n}\n",
    ["function Get-Foo 1-2", "class A 3-5", "method A.M 4-4"],
  ],
  python: [
    "a.py",
    "X = 1\n@decorated\ndef f():\n    def g(): pass\nclass A(B):\n    async def m(self):\n        pass\n",
    ["constant X 1-1", "function f 2-4", "function f.g 4-4", "class A 5-7", "method A.m 6-7"],
  ],
  regex: ["a.regex", "(?<year>\\d+)-x", ["group year 1-1"]],
  ruby: [
    "a.rb",
    "module M\n  class A\n    X = 1\n    def m\n    end\n    def self.s; end\n  end\nend\n",
    ["module M 1-8", "class M.A 2-7", "constant A.X 3-3", "method A.m 4-5", "method A.s 6-6"],
  ],
  rust: [
    "a.rs",
    "pub struct S<T> { a: T }\nimpl<T> S<T> {\n  const K: i32 = 1;\n  fn n() {}\n}\ntrait T {\n  fn t(&self);\n}\nmod m {\n  fn q() {}\n}\nmacro_rules! mm { () => {} }\n",
    [
      "struct S 1-1",
      "impl S 2-5",
      "constant S.K 3-3",
      "method S.n 4-4",
      "trait T 6-8",
      "method T.t 7-7",
      "module m 9-11",
      "function m.q 10-10",
      "macro mm 12-12",
    ],
  ],
  tsx: ["a.tsx", "export const A: FC = () => {\n  return <div />;\n};\n", ["function A 1-3"]],
  typescript: [
    "a.mts",
    "export interface I {\n  m(): void;\n}\ntype T = string;\nenum E { A }\nnamespace N {\n  export function x() {}\n}\nexport abstract class C {\n  abstract m(): void;\n}\nfunction over(a: string): void;\n",
    [
      "interface I 1-3",
      "method I.m 2-2",
      "type T 4-4",
      "enum E 5-5",
      "namespace N 6-8",
      "function N.x 7-7",
      "class C 9-11",
      "method C.m 10-10",
      "function over 12-12",
    ],
  ],
};

async function symbolsOf(file: string, text: string) {
  const syntax = await syntaxOf(file, text);
  assert.ok(syntax, `${file} was not parsed`);
  return syntax.symbols;
}

test("every grammar has a case", () => assert.deepEqual(Object.keys(CASES).sort(), Object.keys(QUERIES).sort()));

for (const [grammar, [file, text, expected]] of Object.entries(CASES)) {
  test(`symbols of ${grammar}`, async () => {
    assert.equal(languageOf(file)?.name, grammar);
    const found = (await symbolsOf(file, text)).map(
      ({ kind, container, name, startLine, endLine }) =>
        `${kind} ${container ? `${container}.` : ""}${name} ${startLine}-${endLine}`,
    );
    assert.deepEqual(found, expected);
  });
}

test("doc comments: before a definition, its decorators and attributes, or in it", async () => {
  const docs = async (file: string, text: string) =>
    (await symbolsOf(file, text)).map(({ name, doc }) => [name, doc?.startLine, doc?.endLine]);
  assert.deepEqual(await docs("a.ts", "/**\n * Says.\n */\nexport function f() {}\n\n// one\n// two\nconst x = 1;\n"), [
    ["f", 1, 3],
    ["x", 6, 7],
  ]);
  assert.deepEqual(await docs("a.ts", "let a = 1; /* of a */\nfunction f() {}\n\n// apart\n\nfunction g() {}\n"), [
    ["a", undefined, undefined],
    ["f", undefined, undefined],
    ["g", undefined, undefined],
  ]);
  assert.deepEqual(await docs("a.rs", "//! The file.\n/// Doc.\n#[derive(Debug)]\nstruct S;\n"), [["S", 2, 3]]);
  assert.deepEqual(
    await docs("a.py", 'class A:\n    """Doc\n    of A."""\n    @property\n    def m(self):\n        "Doc of m."\n'),
    [
      ["A", 2, 3],
      ["m", 6, 6],
    ],
  );
  assert.deepEqual(await docs("a.go", "package p\n\n// F does\n// this.\nfunc F() {}\n"), [["F", 3, 4]]);
});

test("signatures end where the body begins", async () => {
  const signature = async (file: string, text: string) => (await symbolsOf(file, text))[0].signature;
  assert.equal(
    await signature("a.ts", "export async function f(\n  a: string,\n): Promise<void> {\n}\n"),
    "export async function f( a: string, ): Promise<void>",
  );
  assert.equal(await signature("a.ts", "const f = (a: number) => {\n};\n"), "const f = (a: number) =>");
  assert.equal(await signature("a.py", "def f(a,\n      b=1):\n    pass\n"), "def f(a, b=1):");
  assert.equal(await signature("a.go", "package p\ntype R struct {\n\ta int\n}\n"), "type R struct");
  assert.equal(await signature("a.ts", "const table = [\n  1,\n];\n"), "const table = [");
});

test("symbols survive syntax errors", async () => {
  const symbols = await symbolsOf("a.ts", "function broken( {\n\nfunction whole() {\n}\n");
  assert.ok(symbols.some(({ name }) => name === "whole"));
});

test("columns are those of UTF-16", async () => {
  const symbols = await symbolsOf("a.ts", 'const s = "🙂🙂"; class é漢 {}\n');
  assert.ok(symbols.some(({ name }) => name === "é漢"));
});

test("a file that takes too long to read is left to line windows, and the next one is read", async () => {
  assert.equal(await syntaxOf("a.ts", "(".repeat(400_000)), undefined);
  assert.deepEqual(
    (await symbolsOf("a.ts", "function f() {}")).map(({ name }) => name),
    ["f"],
  );
});

test("what is parsed in between, in the same language too, changes nothing", async () => {
  const names = Array.from({ length: 20_000 }, (_, n) => `f${n}`);
  const text = names.map((name) => `function ${name}() { return [1, 2, 3]; }\n`).join("");
  let nRests = 0;
  const syntax = await syntaxOf("a.ts", text, async () => {
    nRests++;
    assert.deepEqual((await symbolsOf("b.ts", "class Other {}")).map(({ name }) => name), ["Other"]); // biome-ignore format: one row
  });
  assert.deepEqual(syntax?.symbols.map(({ name }) => name), names); // biome-ignore format: one row
  assert.ok(nRests > 5, `${nRests}`);
});

test("deep nesting ends", async () => {
  const deep = ["a.ts {\n", "a.py [\n", "a.css a{\n", "a.go func f(){\n", "a.md # a\n", "a.rb class A\n"];
  for (const [file, piece] of deep.map((text) => [text.slice(0, 4), text.slice(5)])) {
    const { nLines } = await cutFile(file, piece.repeat(20_000));
    assert.equal(nLines, 20_000);
  }
});

test("languages are told by name", () => {
  assert.equal(languageName("src/Rakefile"), "ruby");
  assert.equal(languageName("README.MD"), "markdown");
  assert.equal(languageName("src/constructor"), null);
  assert.equal(languageName("a.toString"), null);
});

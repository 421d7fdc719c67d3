/** Where completions of several lines end by syntax, in cases where the lines' indentation says something else. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { completionEnd } from "../../../engine/complete/end.ts";
import { SyntaxEnd } from "../../../engine/complete/syntax-end.ts";
import { grammarOf } from "../../../engine/workspace/grammars.ts";
import { languageOf } from "../../../engine/workspace/languages.ts";

/** The completion as it is cut while the text comes in, a word or a character at a time; all of it where nothing ends it. */
function cut(prefix: string, text: string, syntax?: SyntaxEnd): string {
  let soFar = "";
  for (const piece of text.match(/\w+|\s|[^\w\s]/g) ?? []) {
    soFar += piece;
    const end = completionEnd(prefix, "\n", soFar, syntax);
    if (end !== undefined) return soFar.slice(0, end);
  }
  return text;
}

async function cutBySyntax(path: string, prefix: string, text: string): Promise<string> {
  await grammarOf(languageOf(path)!);
  using syntax = new SyntaxEnd(path, prefix);
  return cut(prefix, text, syntax);
}

interface Case {
  readonly name: string;
  readonly path: string;
  readonly prefix: string;
  /** What belongs to the completion, and what a model may go on with. */
  readonly body: string;
  readonly after: string;
  /** Whether indentation finds the same end. */
  readonly layoutToo?: true;
}

const CASES: readonly Case[] = [
  {
    name: "Python: a string that runs over lines at the margin",
    path: "a.py",
    prefix: "def usage():\n    ",
    body: 'text = """\nusage: tool (see below:\n  --all\n"""\n    return text',
    after: "\n\n\ndef other():\n    pass\n",
  },
  {
    name: "Python: a decorated function at the top level is one statement",
    path: "a.py",
    prefix: "import app\n\n",
    body: '@app.get(\n    "/"\n)\ndef index():\n    if a:\n        return 1\n    else:\n        return 2',
    after: "\n\n\n@app.post\ndef more():\n    return 3\n",
  },
  {
    name: "Python: the else of an if at the top level belongs to it",
    path: "a.py",
    prefix: "import a\n",
    body: "if a.b:\n    c = 1\nelse:\n    c = 2",
    after: "\nd = 3\ne = 4\n",
  },
  {
    name: "Python: a function's body, comments at the margin included",
    path: "a.py",
    prefix: "class A:\n    def f(self):",
    body: "\n        x = 1\n# commented out\n        return x",
    after: "\n\n    def g(self):\n        pass\n",
  },
  {
    name: "Python: a method ends before the next one",
    path: "a.py",
    prefix: "class A:\n    def f(self):",
    body: "\n        return 1",
    after: "\n\n    @property\n    def g(self):\n        pass\n",
    layoutToo: true,
  },
  {
    name: "Go: the cases of a switch stand as far left as the switch",
    path: "a.go",
    prefix: "package a\n\nfunc f(x int) int {\n\tswitch x {",
    body: "\n\tcase 1:\n\t\treturn 2\n\tdefault:\n\t\treturn 3\n\t}",
    after: "\n\treturn 4\n}\n",
  },
  {
    name: "Go: a raw string at the margin, with brackets in it",
    path: "a.go",
    prefix: "package a\n\nfunc f() {\n\t",
    body: "query := `\nselect (\n} from t\n`\n\trun(query)",
    after: "\n}\n\nfunc g() {\n}\n",
  },
  {
    name: "Go: a literal of a struct in a call",
    path: "a.go",
    prefix: "package a\n\nfunc f() {\n\tserve(&Config{",
    body: '\n\t\tAddr: ":80",\n\t\tNames: []string{\n\t\t\t"a",\n\t\t},\n\t})',
    after: "\n\tstop()\n}\n",
    layoutToo: true,
  },
  {
    name: "TypeScript: a template string at the margin",
    path: "a.ts",
    prefix: "export function page(name: string) {\n  ",
    body: "const html = `\n<p>name</p>\n{(\n`;\n  return html;",
    after: "\n}\n\nexport const b = 1;\n",
  },
  {
    name: "TypeScript: an object in a call, with what stands behind it",
    path: "a.ts",
    prefix: "useEffect(() => {",
    body: '\n  call(")");\n}, [deps]);',
    after: "\nconst a = 1;\n",
    layoutToo: true,
  },
  {
    name: "TypeScript: a bracket in a string on the first line closes nothing",
    path: "a.ts",
    prefix: "const a = call(",
    body: '":)",\n  b,\n);',
    after: "\nconst c = 1;\n",
  },
  {
    name: "TypeScript: the else behind a block is the next completion",
    path: "a.ts",
    prefix: "function f(a: boolean) {\n  if (a) {",
    body: "\n    return 1;\n  }",
    after: " else {\n    return 2;\n  }\n}\n",
    layoutToo: true,
  },
  {
    name: "TypeScript: a function at the top level is one statement",
    path: "a.ts",
    prefix: "const a = 1;\n\n",
    body: "export function b(): number {\n  return a;\n}",
    after: "\n\nexport function c(): number {\n  return a;\n}\n",
  },
  {
    name: "Rust: a string whose lines are joined",
    path: "a.rs",
    prefix: "fn f() {\n    ",
    body: 'let text = "\\\nfirst {\nsecond\n";\n    check(text);',
    after: "\n}\n\nfn g() {}\n",
  },
  {
    name: "C: what the preprocessor reads stands at the margin",
    path: "a.c",
    prefix: "int f(void)\n{\n    ",
    body: "int a = 1;\n#ifdef MORE\n    a++;\n#endif\n    return a;",
    after: "\n}\n\nint g(void)\n{\n}\n",
  },
  {
    name: "C++: access specifiers stand as far left as the class",
    path: "a.cpp",
    prefix: "class A {",
    body: "\n  int a;\npublic:\n  int b;\n};",
    after: "\n\nclass B {\n};\n",
  },
  {
    name: "Java: a text block at the margin",
    path: "A.java",
    prefix: "class A {\n    String f() {\n        ",
    body: 'String s = """\n{ "a": (\n""";\n        return s;',
    after: "\n    }\n\n    void g() {\n    }\n}\n",
  },
  {
    name: "Ruby: a block ends with its end",
    path: "a.rb",
    prefix: "items.each do",
    body: "\n  puts 1\nend",
    after: "\n\nputs 2\n",
  },
  {
    name: "Ruby: a heredoc at the margin",
    path: "a.rb",
    prefix: "def sql\n  ",
    body: "text = <<SQL\nselect (\nfrom t\nSQL\n  run(text)",
    after: "\nend\n\ndef other\nend\n",
  },
  {
    name: "Bash: a heredoc at the margin, and fi",
    path: "a.sh",
    prefix: "if true; then",
    body: "\n  cat <<EOF\nusage: (\nEOF\n  exit 1\nfi",
    after: "\necho done\n",
  },
];

suite("completions end with the block that the cursor is in", () => {
  for (const { name, path, prefix, body, after, layoutToo } of CASES) {
    test(name, async () => {
      assert.equal(await cutBySyntax(path, prefix, body + after), body);
      // Otherwise the case would not show what syntax is for.
      assert.equal(cut(prefix, body + after) === body, layoutToo === true);
    });
  }

  test("what is too long ends with its last whole statement", async () => {
    const statement = "\n  if (a) {\n    b();\n  }";
    const text = await cutBySyntax("a.ts", "function f() {", statement.repeat(10));
    // Of the fifth it is not known whether an else follows.
    assert.equal(text, statement.repeat(4));
  });

  test("a file before the cursor that has errors leaves the end to indentation", async () => {
    const prefix = "x = (1,\n\nclass A:\n    def f(self):";
    const text = "\n        return 1\n    def g(self):\n        pass\n";
    assert.equal(await cutBySyntax("a.py", prefix, text), "\n        return 1");
  });

  test("a language without a grammar is cut by indentation", () => {
    const prefix = "function f() {";
    const text = "\n  a();\n}\nb();\n";
    using syntax = new SyntaxEnd("a.lua", prefix);
    assert.equal(cut(prefix, text, syntax), cut(prefix, text));
  });

  test("code nested deeper than any stack is cut too", async () => {
    const prefix = `${"(".repeat(7_900)}\nf() {`;
    assert.equal(await cutBySyntax("a.js", prefix, "\n  a();\n}\nb();\n"), "\n  a();\n}");
  });

  test("only the text near the cursor is read", async () => {
    const prefix = `${"const a = 1;\n".repeat(50_000)}switch (a) {`;
    const body = "\ncase 1:\n  b();\n}";
    assert.equal(await cutBySyntax("a.js", prefix, `${body}\nc();\n`), body);
  });
});

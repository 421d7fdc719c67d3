import assert from "node:assert/strict";
import { test } from "node:test";
import { ImportNames } from "../../../engine/memory/source-class.ts";

const imported = (paths: string[], path: string, text: string) => [...new ImportNames(paths).importedBy(path, text)];

test("relative imports of scripts name files and folders, packages do not", () => {
  const paths = ["src/a.ts", "src/b.ts", "src/util/index.ts", "src/c.py", "react.ts", "src/view.tsx"];
  const text = `import { b } from "./b.js";\nimport x from './util';\nconst c = require("./c");\nimport "react";\nimport { V } from "./view";`;
  assert.deepEqual(imported(paths, "src/a.ts", text), ["src/b.ts", "src/util/index.ts", "src/view.tsx"]);
  assert.deepEqual(imported(paths, "src/b.ts", 'import { b } from "./b";'), []);
});

test("of files with one name the nearest is taken", () => {
  const paths = ["lib/x/models.py", "app/models.py", "app/views.py"];
  assert.deepEqual(imported(paths, "app/views.py", "from .models import A\nimport app.models"), ["app/models.py"]);
});

test("Rust, Java and C name files by the parts of a path", () => {
  const rust = ["src/net/mod.rs", "src/net/tcp.rs", "src/main.rs", "src/log.rs"];
  assert.deepEqual(imported(rust, "src/main.rs", "mod log;\nuse crate::net::tcp::Listener;\n").sort(), [
    "src/log.rs",
    "src/net/tcp.rs",
  ]);
  assert.deepEqual(imported(["a/B.java", "a/C.java"], "a/C.java", "import x.a.B;"), ["a/B.java"]);
  assert.deepEqual(imported(["a/b.h", "a/c.c"], "a/c.c", '#include "a/b.h"\n#include <stdio.h>'), ["a/b.h"]);
});

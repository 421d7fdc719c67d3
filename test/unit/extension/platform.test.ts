import assert from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { packageRoot } from "../../../engine/paths.ts";
import { requireEngine } from "../../../extension/platform.ts";
import { folderWith } from "../run-cli.ts";

const folder = folderWith({ "package.json": "{}" });
after(() => rmSync(folder, { recursive: true }));

test("this platform has an engine", () => {
  requireEngine(packageRoot);
});

test("a platform without an engine is told which have one", () => {
  assert.throws(() => requireEngine(packageRoot, "linux-mips"), {
    code: "unsupported",
    message:
      "Longsight has no engine for linux-mips; it runs on linux-x64, linux-arm64, win32-x64, win32-arm64, darwin-arm64.",
  });
});

test("another platform's package is told which one to install", () => {
  const library = join(folder, "dist/node_modules/onnxruntime-node/bin/napi-v6/linux/x64/onnxruntime_binding.node");
  mkdirSync(dirname(library), { recursive: true });
  writeFileSync(library, "");
  requireEngine(folder, "linux-x64");
  assert.throws(() => requireEngine(folder, "darwin-arm64"), {
    code: "unsupported",
    message: "This copy of Longsight has no engine for darwin-arm64; install the package longsight-darwin-arm64.",
  });
});

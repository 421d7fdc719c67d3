/** Holds the house rules of ARCHITECTURE.md: import directions, no cycles, no editor API in the engine, file sizes. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { test } from "node:test";
import { packageRoot } from "../engine/paths.ts";

/** A layer may import from itself and from the layers listed; "base" holds errors.ts and paths.ts. */
const ALLOWED: Record<string, string[]> = {
  base: [],
  onnx: ["base"],
  models: ["onnx", "base"],
  attention: ["onnx", "base", "models"],
  compiler: ["attention", "models", "onnx", "base"],
  reference: ["models", "base", "attention"],
  runtime: ["compiler", "attention", "models", "onnx", "base"],
  workspace: ["base"],
  memory: ["runtime", "workspace", "models", "attention", "base"],
  ask: ["memory", "runtime", "attention", "workspace", "models", "base"],
  complete: ["memory", "runtime", "workspace", "models", "base"],
  insight: ["memory", "runtime", "workspace", "models", "base"],
  engine: ["ask", "complete", "insight", "memory", "runtime", "workspace", "models", "base"],
  protocol: ["engine", "ask", "complete", "insight", "memory", "runtime", "models", "base"],
  entry: ["protocol", "engine", "ask", "complete", "insight", "memory", "models", "base"],
  extension: ["protocol", "client", "webview", "base"],
  client: ["protocol", "base"],
  webview: ["protocol"],
};

/** Files with more lines than this are reported; more than MAX_LINES fail. */
const WARN_LINES = 400;
const MAX_LINES = 700;

function sources(folder: string): string[] {
  if (!existsSync(join(packageRoot, folder))) return [];
  return readdirSync(join(packageRoot, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(folder, name).split(sep).join("/"));
}

/** The layer of a source file, from its path alone. */
function layerOf(file: string): string {
  const parts = file.split("/");
  if (parts[0] !== "engine") return parts[0];
  if (parts.length > 2) return parts[1];
  const name = parts[1].replace(/\.ts$/, "");
  if (name === "errors" || name === "paths") return "base";
  if (name.startsWith("reference")) return "reference";
  if (["engine-calls", "folder-memories", "open-folders"].includes(name)) return "engine";
  if (["link", "meeting-place", "shared-client"].includes(name)) return "client";
  if (name === "engine" || name === "protocol" || name === "client") return name;
  return "entry";
}

/** What a file imports, comments left out: [specifier, is it types only]. */
function importsOf(file: string): [string, boolean][] {
  const text = readFileSync(join(packageRoot, file), "utf8").replace(/\/\*[\s\S]*?\*\//g, "");
  const found = text.matchAll(
    /^\s*(?:import|export)\s+(type\s)?(?:[^"';]*?\sfrom\s+)?["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)/gm,
  );
  return [...found].map((match) => [match[2] ?? match[3], match[1] !== undefined]);
}

const files = [...sources("engine"), ...sources("extension"), ...sources("webview")];
const resolve = (from: string, specifier: string) =>
  relative(packageRoot, join(packageRoot, dirname(from), specifier))
    .split(sep)
    .join("/");

test("imports point downwards only", () => {
  const wrong: string[] = [];
  for (const file of files) {
    const layer = layerOf(file);
    assert.ok(ALLOWED[layer], `${file} lies in no known layer`);
    for (const [specifier] of importsOf(file)) {
      if (!specifier.startsWith(".")) continue;
      const target = layerOf(resolve(file, specifier));
      if (target !== layer && !ALLOWED[layer].includes(target))
        wrong.push(`${file} (${layer}) imports ${specifier} (${target})`);
    }
  }
  assert.deepEqual(wrong, []);
});

test("the engine and the webview never import vscode", () => {
  const wrong = files
    .filter((file) => !file.startsWith("extension/"))
    .filter((file) => importsOf(file).some(([specifier]) => specifier === "vscode"));
  assert.deepEqual(wrong, []);
});

test("there are no import cycles", () => {
  const state = new Map<string, "open" | "done">();
  const visit = (file: string, path: string[]): void => {
    if (state.get(file) === "done") return;
    assert.notEqual(state.get(file), "open", `cycle: ${[...path, file].join(" -> ")}`);
    state.set(file, "open");
    for (const [specifier, typesOnly] of importsOf(file)) {
      if (!typesOnly && specifier.startsWith(".")) visit(resolve(file, specifier), [...path, file]);
    }
    state.set(file, "done");
  };
  for (const file of files) visit(file, []);
});

test("files stay small", (context) => {
  for (const file of [...files, ...sources("test")]) {
    const lines = readFileSync(join(packageRoot, file), "utf8").split("\n").length;
    if (lines > WARN_LINES) context.diagnostic(`${file} has ${lines} lines`);
    assert.ok(lines <= MAX_LINES, `${file} has ${lines} lines, more than ${MAX_LINES}`);
  }
});

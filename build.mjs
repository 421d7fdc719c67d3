/** Bundles every entry into dist/ and packs dist/ into one VSIX per platform. Called by run.mjs, on the project's own Node. */
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build as esbuild } from "esbuild";

const root = dirname(fileURLToPath(import.meta.url));

/** Loaded by path at run time, so they stay folders beside the bundles. */
const UNBUNDLED = ["onnxruntime-node", "web-tree-sitter", "@vscode/tree-sitter-wasm"];

/** The platforms onnxruntime-node has libraries for, by their VSIX target. */
export const TARGETS = ["linux-x64", "linux-arm64", "win32-x64", "win32-arm64", "darwin-arm64"];

/** What the repository's own files contribute to a VSIX. */
const SHIPPED = ["LICENSE", "README.md", "CHANGELOG.md", "package.nls.json", "l10n", "media", "engine/models/default"];

/** What a bundle may weigh, in KB: growth past it is a decision, not an accident. */
const BUDGET_KB = {
  "extension.cjs": 500,
  "server.js": 1500,
  "mcp.js": 2500,
  "webview/chat.js": 250,
  "webview/diagnostics.js": 350,
};

/** Some bundled packages are CommonJS and require Node's own modules. */
const requireInModules = {
  js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
};

function bundles(outdir, minify) {
  const shared = { bundle: true, logLevel: "warning", outdir, absWorkingDir: root, minify };
  const there = (...entries) => entries.filter((entry) => existsSync(join(root, entry)));
  return [
    {
      ...shared,
      entryPoints: there("engine/cli.ts", "engine/server.ts", "engine/mcp.ts"),
      platform: "node",
      target: "node22",
      format: "esm",
      external: UNBUNDLED,
      banner: requireInModules,
      sourcemap: !minify,
    },
    {
      ...shared,
      entryPoints: there("extension/main.ts").map((entry) => ({ in: entry, out: "extension" })),
      platform: "node",
      target: "node22",
      format: "cjs",
      external: ["vscode"],
      outExtension: { ".js": ".cjs" },
      sourcemap: !minify,
    },
    {
      ...shared,
      outdir: join(outdir, "webview"),
      entryPoints: there("webview/chat.ts", "webview/chat.css", "webview/diagnostics.ts", "webview/diagnostics.css"),
      platform: "browser",
      target: "es2022",
      format: "iife",
      loader: { ".ttf": "file" },
      assetNames: "[name]",
      sourcemap: minify ? false : "inline",
    },
  ].filter((options) => options.entryPoints.length > 0);
}

/** Writes every bundle into a folder, by default dist/. */
export async function bundle({ outdir = join(root, "dist"), minify = false } = {}) {
  mkdirSync(outdir, { recursive: true });
  await Promise.all(bundles(outdir, minify).map((options) => esbuild(options)));
}

/** Packs the extension for `targets` into `folder`; returns the files' paths. */
export async function packageVsix(targets, folder = root) {
  const unknown = targets.find((target) => !TARGETS.includes(target));
  if (unknown) throw new Error(`${unknown} is no target; there are ${TARGETS.join(", ")}.`);
  const work = mkdtempSync(join(tmpdir(), "longsight-package-"));
  try {
    const dist = join(work, "dist");
    await bundle({ outdir: dist, minify: true });
    checkBudget(dist);
    return targets.map((target) => pack(dist, join(work, target), target, folder));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function pack(dist, stage, target, folder) {
  const { name, version } = stageFiles(dist, stage, target);
  const file = join(folder, `${name}-${target}-${version}.vsix`);
  const vsce = join(root, "node_modules", "@vscode", "vsce", "vsce");
  const args = [vsce, "package", "--no-dependencies", "--no-rewrite-relative-links", "--target", target, "--out", file];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: stage, encoding: "utf8" });
  if (status !== 0) throw new Error(`Packing ${target} failed: ${stdout}${stderr}`);
  console.error(`${file}: ${(statSync(file).size / 1024 / 1024).toFixed(1)} MB`);
  return file;
}

function checkBudget(dist) {
  for (const [file, budget] of Object.entries(BUDGET_KB)) {
    const path = join(dist, file);
    if (!existsSync(path)) continue;
    const size = statSync(path).size / 1024;
    if (size > budget) throw new Error(`${file} has ${Math.ceil(size)} KB, more than its budget of ${budget} KB.`);
  }
}

/** Lays out what one VSIX holds, with the bundles of `dist`; returns its manifest. */
export function stageFiles(dist, stage, target) {
  mkdirSync(stage, { recursive: true });
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  // The bundles hold the packages; scripts belong to the repository.
  for (const field of ["scripts", "dependencies", "devDependencies", "allowScripts", "private"]) delete manifest[field];
  writeFileSync(join(stage, "package.json"), JSON.stringify(manifest, null, 2));
  // Test data stays behind, and so does the memory that is trained while reading, which nothing in the editor uses.
  const isWanted = (path) => !/(golden\.json|workspace\.safetensors)$/.test(path);
  for (const path of SHIPPED) {
    if (existsSync(join(root, path)))
      cpSync(join(root, path), join(stage, path), { recursive: true, filter: isWanted });
  }
  cpSync(dist, join(stage, "dist"), { recursive: true, filter: (path) => !path.endsWith("cli.js") });
  const modules = join(stage, "dist", "node_modules");
  const [os, arch] = target.split("-");
  for (const name of [...UNBUNDLED, "onnxruntime-common"]) {
    cpSync(join(root, "node_modules", name), join(modules, name), { recursive: true, filter: isRuntimeFile });
  }
  const binaries = join(modules, "onnxruntime-node", "bin", "napi-v6");
  for (const platform of readdirSync(binaries)) {
    if (platform !== os) rmSync(join(binaries, platform), { recursive: true });
  }
  for (const machine of readdirSync(join(binaries, os))) {
    if (machine !== arch) rmSync(join(binaries, os, machine), { recursive: true });
  }
  writeFileSync(join(stage, ".vscodeignore"), "");
  return manifest;
}

/** Types, maps, sources and install scripts are of no use at run time. */
function isRuntimeFile(path) {
  if (/\.(d\.ts|d\.mts|d\.cts|map|md)$/.test(path) && !/LICENSE/.test(path)) return false;
  return !/\/(onnxruntime-common\/(lib|dist\/esm)|onnxruntime-node\/(lib|script)|web-tree-sitter\/(lib|src|debug))(\/|$)/.test(
    path,
  );
}

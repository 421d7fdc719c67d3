/** What a VSIX holds: its own platform's libraries, and nothing that is of no use at run time. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { bundle, stageFiles } from "../../build.mjs";

suite("package", () => {
  for (const [target, library] of [
    ["linux-x64", "linux/x64/libonnxruntime.so.1"],
    ["win32-arm64", "win32/arm64/onnxruntime.dll"],
  ]) {
    test(`${target}: its own libraries only, the model, the panels, no sources`, async (context) => {
      const work = mkdtempSync(join(tmpdir(), "longsight-stage-"));
      context.after(() => rmSync(work, { recursive: true, force: true }));
      const dist = join(work, "dist");
      const stage = join(work, "stage");
      await bundle({ outdir: dist, minify: true });
      stageFiles(dist, stage, target);
      const files = readdirSync(stage, { recursive: true, encoding: "utf8" }).map((file) => file.replaceAll("\\", "/"));
      const binaries = "dist/node_modules/onnxruntime-node/bin/napi-v6/";
      const platforms = new Set(
        files
          .filter((file) => file.startsWith(binaries))
          .map((file) => file.slice(binaries.length).split("/").slice(0, 2).join("/")),
      );
      const [platform, machine] = target.split("-");
      assert.deepEqual([...platforms].sort(), [platform, `${platform}/${machine}`]);
      assert.ok(files.includes(binaries + library));
      for (const file of [
        "dist/extension.cjs",
        "dist/server.js",
        "dist/mcp.js",
        "dist/webview/chat.js",
        "dist/webview/chat.css",
        "dist/webview/diagnostics.js",
        "engine/models/default/manifest.json",
        "media/icon.png",
        "package.nls.json",
        "l10n/bundle.l10n.json",
        "README.md",
        "LICENSE",
      ]) {
        assert.ok(files.includes(file), file);
      }
      assert.deepEqual(
        files.filter((file) => /\.(ts|mts|map|tsbuildinfo)$|golden\.json$|(^|\/)(test|cli\.js)(\/|$)/.test(file)),
        [],
      );
      const manifest = JSON.parse(readFileSync(join(stage, "package.json"), "utf8"));
      for (const field of ["dependencies", "devDependencies", "scripts", "private"])
        assert.equal(manifest[field], undefined, field);
      assert.ok(existsSync(join(stage, manifest.main)) && existsSync(join(stage, manifest.icon)));
    });
  }
});

/** What goes wrong around the engine is one sentence, and the editor goes on. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type * as vscode from "vscode";
import { LongsightError } from "../../../engine/errors.ts";
import { packageRoot } from "../../../engine/paths.ts";
import { requests } from "../../../engine/protocol.ts";
import { editor } from "../../editor.ts";
import { installExtension } from "../../installed-extension.ts";
import { folderWith, PROJECT } from "../run-cli.ts";

const { logged } = editor();
const { EngineHost } = await import("../../../extension/engine-host.ts");
const { FolderIndex } = await import("../../../extension/workspace/folder-index.ts");
const { Uri } = await import("vscode");

/** An installed extension, with this as its engine, and its host. */
function install(context: TestContext, engine?: string) {
  const installed = installExtension(engine);
  const { extensionPath, storage } = installed;
  const host = new EngineHost({ extensionPath, globalStorageUri: Uri.file(storage) } as vscode.ExtensionContext);
  context.after(async () => {
    await host.end();
    installed.remove();
  });
  logged.length = 0;
  return { host, extensionPath, storage };
}

function open(context: TestContext): string {
  const folder = folderWith(PROJECT);
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const indexOf = (folder: string, host: InstanceType<typeof EngineHost>, changed = () => {}) =>
  new FolderIndex({ uri: Uri.file(folder), name: "project", index: 0 }, host, changed);

/** A failed index says why in one sentence: a cause, and behind the semicolon what to do. */
function assertFailed(index: InstanceType<typeof FolderIndex>, sentence: RegExp): void {
  const { state } = index;
  assert.equal(state.kind, "failed");
  if (state.kind !== "failed") return;
  assert.match(state.sentence, sentence);
  assert.match(state.sentence, /^[^\n]+; [^\n]+\.$/);
}

const completed = async (host: InstanceType<typeof EngineHost>, folder: string) =>
  typeof (await host.request(requests.complete, { folder, path: "a.ts", prefix: "const a = ", suffix: "\n" })).text;

test("an engine for another platform is told so before anything is started", async (context) => {
  const { host, extensionPath } = install(context);
  rmSync(join(extensionPath, "node_modules"));
  await assert.rejects(host.request(requests.status, {}), { code: "unsupported", message: /install the package/ });
  assert.equal(host.state, "failed");
  symlinkSync(join(packageRoot, "node_modules"), join(extensionPath, "node_modules"));
  assert.ok((await host.request(requests.status, {})).pid, "installed, it works without a new window");
});

test("an engine that ends again and again is not started for ever", async (context) => {
  const { host } = install(context, `console.error("a library is missing"); process.exit(3);`);
  for (let i = 0; i < 3; i++) await assert.rejects(host.request(requests.status, {}), /ended with status 3/);
  await assert.rejects(host.request(requests.status, {}), (error) => {
    assert.ok(error instanceof LongsightError);
    assert.match(error.message, /stopped 3 times within a minute; read its log, then run "Longsight: Restart Engine"/);
    return true;
  });
  assert.ok(logged.includes("engine: a library is missing"), logged.join("\n"));
});

test("a folder that is removed while it is indexed fails its index alone", async (context) => {
  const { host } = install(context);
  const folder = open(context);
  const index = indexOf(folder, host);
  await index.update(true);
  assert.equal(index.state.kind, "ready");
  writeFileSync(join(folder, "new.ts"), "export const seven = 7;\n");
  const removing = indexOf(folder, host, () => {
    if (removing?.state.kind === "indexing" && removing.state.total !== null) rmSync(folder, { recursive: true });
  });
  await removing.update(true);
  assert.equal(existsSync(folder), false);
  await index.update(true);
  assertFailed(index, /does not exist/);
  assert.equal(await completed(host, folder), "string");
  assert.equal(host.state, "running");
});

test("a storage that cannot be written fails the index, completions go on without it", async (context) => {
  const { host, storage } = install(context);
  const folder = open(context);
  writeFileSync(storage, "");
  const index = indexOf(folder, host);
  await index.update(true);
  assertFailed(index, new RegExp(`^${storage}`));
  assert.equal(await completed(host, folder), "string");
  rmSync(storage);
  await index.update(true);
  assert.equal(index.state.kind, "ready", "put right, it works");
});

test("cleared stores are deleted, with what an earlier clearing left, and the next request finds empty ones", async (context) => {
  const { host, storage } = install(context);
  const folder = open(context);
  await host.request(requests.index, { folder });
  mkdirSync(join(storage, "cache-cleared-1"));
  await host.clearStores();
  // Beside the stores lies what tells whether somebody uses them.
  assert.deepEqual(readdirSync(storage), ["cache-clearing", "cache-use"]);
  const { indexed, files } = await host.request(requests.index, { folder });
  assert.equal(indexed, files);
});

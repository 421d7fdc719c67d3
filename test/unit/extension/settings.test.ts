import assert from "node:assert/strict";
import { test } from "node:test";
import type * as vscode from "vscode";
import { editor } from "../../editor.ts";

const { settings: written, logged, asked } = editor();
const { settings } = await import("../../../extension/settings.ts");

const scope = {} as vscode.ConfigurationScope;

/** Every setting with a value that a hand-written file may hold, and what is used in its place. */
const WRONG: [string, () => unknown, unknown, unknown][] = [
  ["completions.enabled", () => settings.completionsEnabled(scope), "yes", true],
  ["completions.maxTokens", () => settings.completionMaxTokens(), "64", 64],
  ["completions.maxDelay", () => settings.completionMaxDelayMs(), -1, 200],
  ["completions.model", () => settings.completionModel(), 7, ""],
  ["chat.model", () => settings.chatModel(), null, ""],
  ["chat.maxCitations", () => settings.maxCitations(), 1e9, 8],
  ["index.onOpen", () => settings.indexOnOpen(), 1, true],
  ["models.folders", () => settings.modelFolders(), ["/models", 3], []],
  ["server.url", () => settings.serverUrl(), { url: "x" }, ""],
  ["server.model", () => settings.serverModel(), [], ""],
];

test("a setting of the wrong type counts as not set, and is reported once, in one sentence", () => {
  assert.equal(WRONG.length, Object.keys(settings).length, "every setting is tried");
  for (const [key, read, value, fallback] of WRONG) {
    written.set(`longsight.${key}`, value);
    logged.length = 0;
    asked.length = 0;
    for (let i = 0; i < 2; i++) assert.deepEqual(read(), fallback, key);
    const said = `The setting longsight.${key} has the value ${JSON.stringify(value)}, which is not usable; ${JSON.stringify(fallback)} is used.`;
    assert.deepEqual(logged, [said]);
    assert.deepEqual(asked, [[said, "Open Settings"]]);
  }
});

test("a setting that is corrected is used from then on", () => {
  written.set("longsight.chat.maxCitations", 3);
  assert.equal(settings.maxCitations(), 3);
});

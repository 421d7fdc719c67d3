/** The manifest against itself, its texts and the sources. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { packageRoot } from "../../../engine/paths.ts";

interface Setting {
  readonly scope: string;
  readonly markdownDescription?: string;
  readonly default?: unknown;
}

const read = (path: string) => readFileSync(join(packageRoot, path), "utf8");
const manifest = JSON.parse(read("package.json"));
const texts: Record<string, string> = JSON.parse(read("package.nls.json"));
const settings: [string, Setting][] = Object.entries(manifest.contributes.configuration.properties);
const sources = readdirSync(join(packageRoot, "extension"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => read(join("extension", name)))
  .join("\n");

suite("manifest", () => {
  test("every text is there, and none is left over", () => {
    const used = new Set([...read("package.json").matchAll(/"%([\w.]+)%"/g)].map(([, key]) => key));
    assert.deepEqual([...used].sort(), Object.keys(texts).sort());
  });

  test("settings are few, described, and read by the sources", () => {
    assert.ok(settings.length < 20, `${settings.length} settings`);
    for (const [name, { markdownDescription, default: value }] of settings) {
      assert.ok(markdownDescription, name);
      assert.notEqual(value, undefined, name);
      assert.ok(sources.includes(`"${name.replace("longsight.", "")}"`), `${name} is never read`);
    }
  });

  test("a workspace can choose neither a model nor a server", () => {
    for (const [name, { scope }] of settings) {
      if (/model|server|folders/i.test(name)) assert.equal(scope, "machine", name);
    }
  });

  test("every command is registered, and every registered one is contributed or internal", () => {
    const contributed = manifest.contributes.commands.map(({ command }: { command: string }) => command);
    for (const command of contributed) {
      assert.ok(
        sources.includes(`"${command}"`) || sources.includes(`"${command.replace("longsight.", "")}"`),
        command,
      );
    }
    const named = [...sources.matchAll(/registerCommand\("(longsight\.[\w.]+)"/g)].map(([, command]) => command);
    for (const command of named) assert.ok(contributed.includes(command) || command.includes(".internal."), command);
  });

  test("no key of the editor is taken", () => {
    assert.equal(manifest.contributes.keybindings, undefined);
  });

  test("files that are named exist", () => {
    const files = [manifest.icon, manifest.contributes.viewsContainers.activitybar[0].icon];
    for (const { steps } of manifest.contributes.walkthroughs) {
      assert.equal(steps.length, 5);
      for (const { media } of steps) files.push(media.markdown);
    }
    for (const file of files) assert.ok(existsSync(join(packageRoot, file)), file);
  });

  test("the editor's version is the one the types are of", () => {
    assert.equal(manifest.engines.vscode, `^${manifest.devDependencies["@types/vscode"]}`);
  });
});

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { packageRoot } from "../../engine/paths.ts";
import { cacheEnv, folderWith, PROJECT, runCli } from "./run-cli.ts";

const guard = ["--import", join(packageRoot, "test", "unit", "network-guard.ts")];
const folder = folderWith(PROJECT);
after(() => rmSync(folder, { recursive: true }));

test("the guard catches what uses the network", () => {
  const uses = [
    "fetch('http://127.0.0.1')",
    "require('net').connect(80, '127.0.0.1')",
    "require('net').createServer().listen(0)",
    "require('dns').lookup('a', () => {})",
  ];
  for (const use of uses) {
    const { stderr } = spawnSync(process.execPath, [...guard, "-e", use], { encoding: "utf8" });
    assert.match(stderr, /NETWORK/, use);
  }
});

test("no command of the terminal opens a connection", () => {
  const commands = [
    ["index", folder],
    ["encode", folder],
    ["ask", folder, "how are two colours mixed?"],
    ["complete", join(folder, "src/colour.ts:3:10")],
    ["generate", "import ", "--max-tokens", "4"],
    ["inspect", join(packageRoot, "engine", "models", "default")],
  ];
  for (const args of commands) {
    const { status, stderr } = runCli(args, cacheEnv(), guard);
    assert.doesNotMatch(stderr, /NETWORK/, args[0]);
    assert.equal(status, 0, `${args[0]}: ${stderr}`);
  }
});

test("an answer needs no network at all", { skip: cannotUnshare() }, () => {
  const cli = join(packageRoot, "engine", "cli.ts");
  const args = [
    "-n",
    process.execPath,
    "--disable-warning=ExperimentalWarning",
    cli,
    "ask",
    folder,
    "how are two colours mixed?",
  ];
  const { status, stdout, stderr } = spawnSync("unshare", args, { encoding: "utf8", env: cacheEnv() });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /src\/colour\.ts/);
});

function cannotUnshare(): string | false {
  return spawnSync("unshare", ["-n", "true"]).status === 0 ? false : "network namespaces cannot be made here";
}

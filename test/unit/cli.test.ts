import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, test } from "node:test";
import { pathToFileURL } from "node:url";
import { defaultModelDir } from "../../engine/paths.ts";
import { randomChatModel } from "./random-chat-model.ts";
import { cacheEnv, folderWith, PROJECT, runCli } from "./run-cli.ts";

const folder = folderWith(PROJECT);
after(() => rmSync(folder, { recursive: true }));

test("ask answers with citations of lines that exist", () => {
  const { status, stdout, stderr } = runCli(["ask", folder, "where is a duration parsed into seconds?", "--json"]);
  assert.equal(stderr, "");
  assert.equal(status, 0);
  const result = JSON.parse(stdout);
  assert.equal(result.found, true);
  assert.equal(result.citations[0].file, "src/duration.ts");
  assert.equal(result.citations[0].startLine, 1);
  assert.ok(result.citations[0].endLine <= PROJECT["src/duration.ts"].split("\n").length);
  assert.match(result.answer, /duration.*\[1\]/i);
  assert.ok(result.timingsMs.total >= result.timingsMs.citations);
});

test("ask for a person shows the answer and file:line", () => {
  const { status, stdout } = runCli(["ask", folder, "how are two colours mixed?"]);
  assert.equal(status, 0);
  assert.match(stdout, /Mixes two colours channel by channel\. \[1\]/);
  assert.match(stdout, /\[1\] src\/colour\.ts:1-4 {2}mixColours/);
});

test("ask says so when nothing fits", () => {
  const { status, stdout } = runCli(["ask", folder, "which Kubernetes operator reconciles certificates?", "--json"]);
  assert.equal(status, 0);
  const result = JSON.parse(stdout);
  assert.equal(result.found, false);
  assert.deepEqual(result.citations, []);
  assert.match(result.answer, /^I did not find this in /);
});

test("index counts what it takes up, and the second time nothing", () => {
  const env = cacheEnv();
  const first = JSON.parse(runCli(["index", folder, "--json"], env).stdout);
  assert.equal(first.files, 4);
  assert.equal(first.indexed, 4);
  const second = JSON.parse(runCli(["index", folder, "--json"], env).stdout);
  assert.equal(second.indexed, 0);
  assert.equal(second.unchanged, 4);
});

test("complete gives text for a place in a file, looking at the memory once the folder is encoded", () => {
  const env = { ...cacheEnv(), INIT_CWD: folder };
  const complete = () => {
    const { status, stdout, stderr } = runCli(["complete", "src/duration.ts:3:3", "--json"], env);
    assert.equal(stderr, "");
    assert.equal(status, 0);
    const result = JSON.parse(stdout);
    assert.equal(typeof result.text, "string");
    assert.equal(result.model, "longsight-default");
    return result;
  };
  assert.equal(complete().memory, null);
  const encoded = JSON.parse(runCli(["encode", folder, "--json"], env).stdout);
  assert.equal(encoded.filesEncoded, 4);
  assert.ok(encoded.tokensEncoded > 100);
  const { memory } = complete();
  assert.ok(memory.layers.length > 0);
  for (const { blocks } of memory.layers) {
    const paths = new Set(blocks.map(({ path }: { path: string }) => path));
    assert.ok(paths.has("src/colour.ts") && paths.has("src/queue.ts"));
    // Its prompt shows all of its own file.
    assert.equal(paths.has("src/duration.ts"), false);
  }
  assert.match(runCli(["encode", folder], env).stdout, /^0 files encoded/);

  // Somebody else takes it over and has nothing to encode.
  const shared = pathToFileURL(mkdtempSync(join(tmpdir(), "longsight-shared-"))).href;
  assert.match(runCli(["memory", "push", folder, shared], env).stdout, /^4 segments pushed/);
  const other = { ...cacheEnv(), INIT_CWD: folder };
  assert.match(runCli(["memory", "pull", folder, shared], other).stdout, /^4 segments pulled; 0 have not been pushed/);
  assert.match(runCli(["encode", folder], other).stdout, /^0 files encoded/);
});

test("generate is the same text for the same seed", () => {
  const args = ["generate", "import os\n", "--max-tokens", "12", "--temperature", "0.9", "--seed", "7", "--json"];
  const [a, b] = [runCli(args), runCli(args)];
  assert.equal(a.status, 0, a.stderr);
  assert.equal(JSON.parse(a.stdout).nTokens, JSON.parse(b.stdout).nTokens);
  assert.equal(JSON.parse(a.stdout).text, JSON.parse(b.stdout).text);
});

test("inspect reports the shipped model", () => {
  const { status, stdout, stderr } = runCli(["inspect", defaultModelDir, "--json"]);
  assert.equal(status, 0, stderr);
  assert.ok(JSON.parse(stdout).architecture.length > 0);
});

test("with a chat model the answer is its own prose over the same citations", () => {
  const model = randomChatModel();
  const { status, stdout, stderr } = runCli(["ask", folder, "how are two colours mixed?", "--model", model, "--json"]);
  assert.equal(status, 0, stderr);
  const result = JSON.parse(stdout);
  assert.equal(result.model, basename(model));
  assert.equal(result.citations[0].file, "src/colour.ts");
  // Random weights write random text; marks of passages that were not given never get through.
  for (const [, mark] of result.answer.matchAll(/\[(\d+)\]/g)) assert.ok(Number(mark) <= result.citations.length);
  const chat = runCli(["generate", "hello", "--chat", "--model", model, "--max-tokens", "5", "--json"]);
  assert.equal(chat.status, 0, chat.stderr);
  assert.ok(JSON.parse(chat.stdout).nTokens <= 5);
  rmSync(model, { recursive: true });
});

/** One sentence (and at most the usage) on stderr, nothing on stdout, no stack, exit status 1. */
function refused(args: readonly string[], expected: RegExp): void {
  const { status, stdout, stderr } = runCli(args);
  assert.match(stderr, expected);
  assert.doesNotMatch(stderr, /^\s+at /m);
  assert.equal(stdout, "");
  assert.equal(status, 1);
}

test("bad input is one sentence with cause and remedy", () => {
  const file = join(folder, "src/duration.ts");
  refused([], /^Usage: /);
  refused(["ask", folder], /^ask takes <folder> <question>, but 1 arguments were given\./);
  refused(["ask", join(folder, "missing"), "where?"], /missing does not exist; check the path\./);
  refused(["ask", file, "where is it parsed?"], /is not a folder; give a folder\./);
  refused(["ask", folder, ""], /^The question is empty; /);
  refused(["ask", folder, "where is it?"], /^The question names nothing to look for; /);
  refused(["memory", "push", folder, "https://example.org"], /has not been encoded; run encode on it first\./);
  refused(["memory", "pull", folder, "nowhere"], /is no place to share memory; give a file:/);
  refused(["complete", file], /is not a place; give file:line:col/);
  refused(["complete", `${file}:99:1`], /there is no line 99; give a line from 1 on\./);
  refused(["generate", "x", "--temperature", "hot"], /^--temperature takes a number, not "hot"\./);
  refused(["generate", "x", "--model", join(folder, "none.gguf")], /none\.gguf does not exist; check the path\./);
  refused(["generate", "x", "--model", file], /duration\.ts/);
  refused(["generate", "x", "--chat"], /has no chat template; choose a model made for chat\./);
  refused(["ask", folder, "where is a duration parsed?", "--colour"], /Unknown option '--colour'/);
});

test("an empty folder and a question of 100,000 characters are answered", () => {
  const empty = mkdtempSync(join(tmpdir(), "longsight-empty-"));
  const none = JSON.parse(runCli(["ask", empty, "where is the parser?", "--json"]).stdout);
  assert.equal(none.found, false);
  rmSync(empty, { recursive: true });
  const long = "where is a duration parsed? ".repeat(3600).slice(0, 100_000);
  assert.equal(JSON.parse(runCli(["ask", folder, long, "--json"]).stdout).citations[0].file, "src/duration.ts");
});

test("a folder without read rights is refused", { skip: process.getuid?.() === 0 && "root reads everything" }, () => {
  const closed = folderWith({ "a.ts": "export const a = 1;\n" });
  chmodSync(closed, 0);
  refused(["ask", closed, "where is a?"], /may not be accessed; change its permissions\./);
  chmodSync(closed, 0o700);
  rmSync(closed, { recursive: true });
});

test("a damaged index is built anew", () => {
  const env = cacheEnv();
  const ask = () => runCli(["ask", folder, "where is a duration parsed?", "--json"], env);
  assert.equal(ask().status, 0);
  const cache = join(env.LONGSIGHT_CACHE ?? "", "index");
  const stored = readdirSync(cache, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  assert.ok(stored.length > 0);
  for (const { parentPath, name } of stored) writeFileSync(join(parentPath, name), "this is no database");
  const { status, stdout } = ask();
  assert.equal(status, 0);
  assert.equal(JSON.parse(stdout).citations[0].file, "src/duration.ts");
});

/** Whatever happened to the database, the catalogue opens, and the next run makes it whole. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, chownSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { LongsightError } from "../../../engine/errors.ts";
import { Catalogue } from "../../../engine/memory/catalogue.ts";
import { indexFolder } from "../../../engine/memory/indexer.ts";
import { packageRoot } from "../../../engine/paths.ts";
import { contentsOf, faultsOf, open, scratch, write } from "./folder.ts";

const code = (name: string, i: number) =>
  `/** Says ${name} ${i}. */\nexport function ${name}${i}() {\n  return "${"word ".repeat(40)}${i}";\n}\n`;
const FILES = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`src/${i}.ts`, code("say", i)]));

/** An indexed folder and its closed catalogue. */
async function indexedFolder(context: TestContext) {
  const [folder, dir] = [scratch(context), scratch(context)];
  write(folder, FILES);
  const catalogue = Catalogue.open(dir);
  await indexFolder(folder, { catalogue });
  const contents = contentsOf(catalogue);
  catalogue.close();
  return { folder, dir, contents, path: join(dir, "catalogue.sqlite") };
}

const DAMAGES: [string, (bytes: Buffer) => Buffer][] = [
  ["emptied", () => Buffer.alloc(0)],
  ["cut to half a page", (bytes) => bytes.subarray(0, 2048)],
  ["cut in the middle", (bytes) => bytes.subarray(0, bytes.length >> 1)],
  ["overwritten with text", (bytes) => Buffer.alloc(bytes.length, "not a database ")],
  ["without its header", (bytes) => Buffer.concat([Buffer.alloc(100), bytes.subarray(100)])],
  [
    "zeroed but for its first page",
    (bytes) => Buffer.concat([bytes.subarray(0, 4096), Buffer.alloc(bytes.length - 4096)]),
  ],
  ["with noise in its pages", noise],
];

function noise(bytes: Buffer): Buffer {
  const damaged = Buffer.from(bytes);
  for (let i = 4096; i < damaged.length; i += 97) damaged[i] ^= 0xff;
  return damaged;
}

for (const [how, damage] of DAMAGES) {
  test(`a database that was ${how} is built anew`, async (t) => {
    const { folder, dir, contents, path } = await indexedFolder(t);
    writeFileSync(path, damage(readFileSync(path)));
    const lines: string[] = [];
    const catalogue = open(t, dir, lines);
    write(folder, { "src/0.ts": code("changed", 0) });
    await indexFolder(folder, { catalogue });
    write(folder, { "src/0.ts": FILES["src/0.ts"] });
    await indexFolder(folder, { catalogue });
    assert.deepEqual(faultsOf(catalogue), []);
    assert.deepEqual(contentsOf(catalogue), contents);
    assert.equal(catalogue.searchSpans(["say7"], 5).length, 1);
    if (how !== "emptied") assert.match(lines.join("\n"), /is damaged; it is built anew/);
  });
}

test("damage found by a question is one sentence", async (t) => {
  const { dir, path } = await indexedFolder(t);
  const bytes = readFileSync(path);
  const catalogue = open(t, dir);
  writeFileSync(path, noise(bytes));
  assert.throws(
    () => {
      for (let i = 0; i < 60; i++) catalogue.spansOf(`src/${i}.ts`);
      catalogue.searchSpans(["word", "say"], 100);
    },
    (error: unknown) => error instanceof LongsightError && /is damaged; index again to rebuild it/.test(error.message),
  );
});

for (const version of [0, 99]) {
  test(`a database of schema version ${version} is set aside and built anew`, async (t) => {
    const { folder, dir, contents, path } = await indexedFolder(t);
    const database = new DatabaseSync(path);
    database.exec(`PRAGMA user_version = ${version}`);
    database.close();
    const lines: string[] = [];
    const catalogue = open(t, dir, lines);
    assert.match(lines.join("\n"), /is of another version; it is built anew/);
    assert.equal(catalogue.stats().nFiles, 0);
    assert.ok(existsSync(`${path}.old`));
    await indexFolder(folder, { catalogue });
    assert.deepEqual(contentsOf(catalogue), contents);
    assert.deepEqual(faultsOf(catalogue), []);
  });
}

const isFull = (error: unknown) =>
  error instanceof LongsightError &&
  error.code === "disk-full" &&
  /disk is full while writing .*; free space/.test(error.message);

test("a database that may not grow ends the run with a sentence and stays whole", async (t) => {
  const { folder, dir } = await indexedFolder(t);
  const catalogue = open(t, dir);
  const pages = Object.values(catalogue.database.prepare("PRAGMA page_count").get() ?? {})[0];
  write(folder, Object.fromEntries(Array.from({ length: 400 }, (_, i) => [`more/${i}.ts`, code("more", i)])));
  catalogue.database.exec(`PRAGMA max_page_count = ${pages}`);
  await assert.rejects(indexFolder(folder, { catalogue }), isFull);
  assert.deepEqual(faultsOf(catalogue), []);
  assert.equal(catalogue.searchSpans(["say7"], 5).length, 1);
  catalogue.database.exec("PRAGMA max_page_count = 1000000");
  const { files } = await indexFolder(folder, { catalogue });
  assert.equal(files, 460);
  assert.deepEqual(faultsOf(catalogue), []);
});

/** Runs shell commands in a namespace of their own, in which a file system may be mounted. */
const unshare = (commands: string) =>
  ["unshare", ["--user", "--map-root-user", "--mount", "sh", "-c", commands]] as const;
const canMount = spawnSync(...unshare("mount -t tmpfs -o size=64k none /mnt")).status === 0;
const isWindows = process.platform === "win32";
const CHILD = [
  `${packageRoot}node_modules/.bin/node`,
  "--disable-warning=ExperimentalWarning",
  join(import.meta.dirname, "index-child.ts"),
];

test("a full disk", { skip: canMount ? false : "needs Linux user namespaces to mount a small file system" }, (t) => {
  const [folder, mount] = [scratch(t), scratch(t)];
  write(folder, Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`src/${i}.ts`, code("say", i).repeat(20)])));
  const [command, args] = unshare(
    `mount -t tmpfs -o size=1m none ${mount} && ${CHILD.join(" ")} ${folder} ${mount}/index; mount -o remount,size=64m ${mount} && ${CHILD.join(" ")} ${folder} ${mount}/index`,
  );
  const [first, second] = execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.equal(first.code, "disk-full");
  assert.match(first.message, /disk is full while writing .*; free space/);
  assert.deepEqual([second.files, second.faults], [300, []]);
});

/** Runs the indexing process as an ordinary user: root may read everything. */
function indexAsUser(folder: string, dir: string) {
  const user = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  const [command, ...args] = [...CHILD, folder, dir];
  const { stdout, stderr } = spawnSync(command, args, { encoding: "utf8", ...user });
  assert.notEqual(stdout, "", stderr);
  return JSON.parse(stdout);
}

test("folders and files without read rights", { skip: isWindows && "rights are others on Windows" }, (t) => {
  const [folder, dir, locked] = [scratch(t), scratch(t), scratch(t)];
  write(folder, { "open.ts": code("say", 1), "closed.ts": code("say", 2), "shut/in.ts": code("say", 3) });
  for (const path of [folder, dir, join(folder, "open.ts")])
    if (process.getuid?.() === 0) chownSync(path, 65534, 65534);
  chmodSync(join(folder, "closed.ts"), 0);
  chmodSync(join(folder, "shut"), 0);
  try {
    const { files, skipped, faults } = indexAsUser(folder, dir);
    assert.deepEqual([files, skipped, faults], [1, { unreadable: 2 }, []]);
    chmodSync(locked, 0o500);
    const { message } = indexAsUser(folder, join(locked, "index"));
    assert.match(message, /may not be accessed; change its permissions/);
    chmodSync(folder, 0);
    const refused = indexAsUser(folder, dir);
    assert.equal(refused.code, "no-access");
    assert.match(refused.message, /may not be accessed; change its permissions/);
  } finally {
    for (const path of [locked, folder, join(folder, "shut")]) chmodSync(path, 0o700);
  }
});

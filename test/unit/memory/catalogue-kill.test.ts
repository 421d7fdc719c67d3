/** The index after its process was killed with no chance to clean up, and under several processes at once. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { databasePath } from "../../../engine/memory/catalogue-database.ts";
import { indexFolder } from "../../../engine/memory/indexer.ts";
import { contentsOf, faultsOf, open, scratch, write } from "./folder.ts";

const N_KILLS = 30;
const N_FILES = 240;
const CHILD = join(import.meta.dirname, "index-child.ts");

/** Most files are plain text, and most of their bytes no words: many batches in a short time. */
const path = (i: number) => `src/${i}.${i % 8 === 0 ? "ts" : "txt"}`;

/** `round` changes a third of the files. */
function text(i: number, round: number): string {
  const version = (i + round) % 3 === 0 ? round : 0;
  const lines = Array.from({ length: 12 }, (_, line) => `  step${(line * i) % 97}("${"x".repeat(900)}", ${version});`);
  return `/** Does ${i}. */\nexport function job${i}() {\n${lines.join("\n")}\n}\n`.repeat(4);
}

function writeRound(folder: string, round: number): void {
  write(folder, Object.fromEntries(Array.from({ length: N_FILES }, (_, i) => [path(i), text(i, round)])));
}

/** A process that indexes; `begun` is when it starts on the first file. */
function startIndexing(folder: string, dir: string) {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", CHILD, folder, dir]);
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (piece: string) => {
    output += piece;
  });
  const exit = once(child, "exit");
  return { child, output: () => output, exit, begun: Promise.race([once(child.stderr, "data"), exit]) };
}

/** Milliseconds that a whole run takes: to its first file, and from there. */
async function timeRun(folder: string, dir: string): Promise<{ startMs: number; workMs: number }> {
  const start = performance.now();
  const { begun, exit } = startIndexing(folder, dir);
  await begun;
  const startMs = performance.now() - start;
  await exit;
  return { startMs, workMs: performance.now() - start - startMs };
}

test(`killed ${N_KILLS} times at any moment the index is whole, and what was done is kept`, async (t) => {
  const [folder, dir] = [scratch(t), scratch(t)];
  writeRound(folder, 0);
  const { startMs, workMs } = await timeRun(folder, dir);
  let nKilled = 0;
  let nKept = 0;
  for (let kill = 0; kill < N_KILLS; kill++) {
    // A third of the kills each: into an index made from nothing, into its continuation, into that of a changed folder.
    if (kill % 3 === 0) for (const suffix of ["", "-wal", "-shm"]) rmSync(databasePath(dir) + suffix, { force: true });
    if (kill % 3 === 2) writeRound(folder, kill);
    const run = startIndexing(folder, dir);
    // Most of them spread over the work, some over the start of the process.
    const share = (kill + 1) / N_KILLS;
    if (kill % 5 !== 0) await run.begun;
    await setTimeout(share * (kill % 5 === 0 ? startMs : workMs));
    if (run.child.kill("SIGKILL")) nKilled++;
    await run.exit;
    // A copy is looked at, so that the next process meets the very files that the killed one left behind.
    const copy = scratch(t);
    cpSync(dir, copy, { recursive: true });
    const lines: string[] = [];
    const catalogue = open(t, copy, lines);
    assert.deepEqual(faultsOf(catalogue), [], `kill ${kill}`);
    assert.deepEqual(lines, [], `kill ${kill}`);
    const nBefore = catalogue.stats().nFiles;
    if (nBefore > 0 && nBefore < N_FILES) nKept++;
    const { unchanged, indexed } = await indexFolder(folder, { catalogue });
    if (kill % 3 !== 2) assert.deepEqual([unchanged, indexed], [nBefore, N_FILES - nBefore], `kill ${kill}`);
    assert.deepEqual(faultsOf(catalogue), [], `kill ${kill}`);
    assert.equal(catalogue.stats().nFiles, N_FILES);
  }
  t.diagnostic(`${nKilled} processes killed, ${nKept} of them with a part of the files indexed`);
  assert.ok(nKilled >= N_KILLS / 2 && nKept > 0);
  const [catalogue, fresh] = [open(t, dir), open(t, scratch(t))];
  for (const one of [catalogue, fresh]) await indexFolder(folder, { catalogue: one });
  assert.deepEqual(contentsOf(catalogue), contentsOf(fresh));
});

test("two processes index one folder at once while a third reads", async (t) => {
  const [folder, dir] = [scratch(t), scratch(t)];
  writeRound(folder, 0);
  const fresh = open(t, scratch(t));
  await indexFolder(folder, { catalogue: fresh });
  const catalogue = open(t, dir);
  const runs = [startIndexing(folder, dir), startIndexing(folder, dir)];
  let isDone = false;
  const ended = Promise.all(runs.map(({ exit }) => exit)).then(() => {
    isDone = true;
  });
  let nPartly = 0;
  while (!isDone) {
    // What is found is there whole.
    const { nFiles } = catalogue.stats();
    if (nFiles > 0 && nFiles < N_FILES) nPartly++;
    for (const { path: found } of catalogue.searchFiles(["job"], 3)) {
      assert.equal(catalogue.spansOf(found).length, fresh.spansOf(found).length);
    }
    await setTimeout(5);
  }
  await ended;
  assert.ok(nPartly > 0);
  for (const { output } of runs) {
    const { files, faults } = JSON.parse(output());
    assert.deepEqual([files, faults], [N_FILES, []]);
  }
  assert.deepEqual(contentsOf(catalogue), contentsOf(fresh));
});

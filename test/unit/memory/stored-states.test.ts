/** States inside long files that lie on disk: what an edit costs after a restart, and that nothing is ever wrong. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { mostSegmentBytes } from "../../../engine/memory/segment.ts";
import { commonPrefix } from "../../../engine/runtime/reader.ts";
import { edited, editedVersions, LONG_PATH, randomNumbers, STORED } from "./long-file.ts";
import { hashOf, type SmallMemoryOptions, sampleText, shape, smallMemory, temporaryFolder } from "./small-memory.ts";

const RUN_TOKENS = 128;
const CHILD = fileURLToPath(new URL("edit-child.ts", import.meta.url));
/** Each takes about half a second; raise it for a long run. */
const N_KILLS = Number(process.env.LONGSIGHT_KILLS ?? 6);

/** Encodes a file with nothing at hand but what is on disk; its runs and its segment. */
async function encodeOnce(dir: string, text: string, options: SmallMemoryOptions = {}) {
  const files = new Map([[LONG_PATH, text]]);
  const { memory, encoder, runs, job, log } = await smallMemory(dir, files, { checkpoints: STORED, ...options });
  const { isFull } = await job().run();
  await encoder.close();
  const [encoded] = memory.encoded();
  const ids = encoder.fileIds(LONG_PATH, text);
  return { runs: runs(), log, ids, isFull, bytes: encoded && readFileSync(encoded.segment.path) };
}

const statesIn = (dir: string) => {
  const folder = join(dir, "states");
  return existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
};

const segmentsIn = (dir: string) =>
  readdirSync(dir, { recursive: true, encoding: "utf8" }).flatMap(
    (name) => /([0-9a-f]{64})\.segment$/.exec(name)?.[1] ?? [],
  );

const runsFor = (nTokens: number) => Math.ceil(nTokens / RUN_TOKENS);

for (const seed of [1, 2, 3]) {
  test(`random edits, each after a restart, are encoded from the last stored state to the same bytes (${seed})`, async (context) => {
    const dir = temporaryFolder(context);
    const random = randomNumbers(seed);
    const versions: { text: string; ids: readonly number[] }[] = [];
    let nSaved = 0;
    let text = sampleText(seed, 3000);
    for (let edit = 0; edit < 14; edit++) {
      const { ids, runs, bytes, log } = await encodeOnce(join(dir, "edited"), text);
      const isKnown = versions.some((version) => version.text === text);
      const common = Math.max(0, ...versions.map((version) => commonPrefix(version.ids, ids)));
      const start = Math.floor(Math.min(common, ids.length - 1) / STORED.storedTokens) * STORED.storedTokens;
      assert.equal(runs, isKnown ? 0 : runsFor(ids.length - start));
      nSaved += start;
      const scratch = await encodeOnce(join(dir, `${edit}`), text);
      assert.deepEqual(bytes, scratch.bytes);
      assert.deepEqual(log, []);
      versions.push({ text, ids });
      // Now and then another branch is checked out.
      const branch =
        random.next().value < 0.3 ? versions[Math.floor(random.next().value * versions.length)].text : text;
      text = random.next().value < 0.1 ? branch : edited(branch, random);
      if (text.length < 1500) text += sampleText(seed + edit, 2000);
    }
    assert.ok(nSaved > 5000, `${nSaved}`);
  });
}

test("a file grows at its end, and each time only what is new is encoded", async (context) => {
  const dir = temporaryFolder(context);
  let text = sampleText(4, 2000);
  await encodeOnce(dir, text);
  for (let i = 0; i < 6; i++) {
    text += sampleText(i + 5, 200);
    const { ids, runs, log } = await encodeOnce(dir, text);
    assert.ok(runs <= runsFor(ids.length - (ids.length - 250 - STORED.storedTokens)), `${runs} runs`);
    assert.deepEqual(log, []);
  }
});

test("a short file has no state on disk, a long one few, behind the same tokens the same one", async (context) => {
  const dir = temporaryFolder(context);
  await encodeOnce(dir, sampleText(1, 400));
  assert.deepEqual(statesIn(dir), []);
  const text = sampleText(2, 3000);
  const { ids } = await encodeOnce(dir, text);
  const n = Math.floor(ids.length / STORED.storedTokens);
  assert.equal(statesIn(dir).length, n);
  await encodeOnce(dir, `${text.slice(0, -1)}MORE;`);
  assert.equal(statesIn(dir).length, n);
});

test("states that were changed, cut off, exchanged or come from elsewhere are not used, with one line in the log", async (context) => {
  const dir = temporaryFolder(context);
  const text = sampleText(1, 1400);
  const whole = join(dir, "whole");
  await encodeOnce(whole, text);
  const changed = `${text}MORE;\n`;
  const scratch = await encodeOnce(join(dir, "scratch"), changed);
  const sizes = statesIn(whole).map((path) => statSync(path).size);
  assert.equal(sizes.length, 2);
  /** Each makes all states useless. */
  const damages: Record<string, (paths: string[]) => void> = {
    changed: (paths) => {
      for (const path of paths) {
        const bytes = readFileSync(path);
        bytes[bytes.length >> 1] ^= 4;
        writeFileSync(path, bytes);
      }
    },
    "another version": (paths) => {
      for (const path of paths) writeFileSync(path, readFileSync(path).fill("9", 7, 8));
    },
    "cut off": (paths) => {
      for (const path of paths) writeFileSync(path, readFileSync(path).subarray(0, -500));
    },
    empty: (paths) => {
      for (const path of paths) writeFileSync(path, "");
    },
    exchanged: ([a, b]) => {
      const first = readFileSync(a);
      writeFileSync(a, readFileSync(b));
      writeFileSync(b, first);
    },
  };
  for (const [name, damage] of Object.entries(damages)) {
    const copy = join(dir, name);
    cpSync(whole, copy, { recursive: true });
    damage(statesIn(copy));
    writeFileSync(join(copy, "states", "notes.state"), "something else");
    const { runs, bytes, log } = await encodeOnce(copy, changed);
    assert.deepEqual(bytes, scratch.bytes, name);
    assert.equal(runs, scratch.runs, name);
    assert.equal(log.length, 2, name);
    for (const line of log)
      assert.match(line, /^The stored state inside a long file cannot be used: it has changed \(/);
    // They were stored anew.
    const again = await encodeOnce(copy, `${changed}MORE;\n`);
    assert.ok(again.runs < scratch.runs, name);
    assert.deepEqual(again.log, [], name);
  }
});

test("states of another model are not found", async (context) => {
  const dir = temporaryFolder(context);
  const text = sampleText(1, 1400);
  const { runs } = await encodeOnce(dir, text);
  const other = await encodeOnce(dir, `${text}A;`, { fingerprint: "another" });
  assert.equal(other.runs, runsFor(other.ids.length));
  assert.ok(other.runs >= runs);
  assert.deepEqual(other.log, []);
});

test("a state is not used with a segment of other tokens", async (context) => {
  const dir = temporaryFolder(context);
  const text = sampleText(1, 1400);
  await encodeOnce(dir, text);
  const [own] = segmentsIn(dir);
  const paths = statesIn(dir);
  await encodeOnce(dir, sampleText(2, 1400));
  const changed = `${text}MORE;`;
  const other = segmentsIn(dir).find((id) => id !== own);
  assert.ok(other);
  for (const path of paths) renameSync(path, path.replace(own, other));
  const { runs, ids, bytes } = await encodeOnce(dir, changed);
  assert.equal(runs, runsFor(ids.length));
  assert.deepEqual(bytes, (await encodeOnce(join(dir, "scratch"), changed)).bytes);
});

test("without the segment that has the blocks a state is of no use, and is taken over by the next one", async (context) => {
  const dir = temporaryFolder(context);
  const text = sampleText(1, 1400);
  await encodeOnce(dir, text);
  for (const name of readdirSync(dir, { recursive: true, encoding: "utf8" })) {
    if (name.endsWith(".segment")) writeFileSync(join(dir, name), "");
  }
  const changed = `${text}MORE;`;
  // The state is there, the segment is found to be damaged.
  const { runs, log, ids, bytes } = await encodeOnce(dir, changed);
  assert.equal(runs, runsFor(ids.length));
  assert.equal(log.length, 1);
  assert.deepEqual(bytes, (await encodeOnce(join(dir, "scratch"), changed)).bytes);
  const next = await encodeOnce(dir, `${changed}AGAIN;`);
  assert.ok(next.runs <= runsFor(STORED.storedTokens));
});

test("states count in the quota, go with their segments, and no file is left out for them", async (context) => {
  const dir = temporaryFolder(context);
  const size = () =>
    readdirSync(dir, { recursive: true, encoding: "utf8" })
      .filter((name) => /\.(segment|state)$/.test(name))
      .reduce((sum, name) => sum + statSync(join(dir, name)).size, 0);
  await encodeOnce(dir, sampleText(1, 1400));
  const [one, nStates] = [size(), statesIn(dir).length];
  assert.equal(nStates, 2);
  const quotaBytes = Math.round(2.5 * one);
  for (let seed = 2; seed < 9; seed++) {
    const { isFull, bytes, log } = await encodeOnce(dir, sampleText(seed, 1400), { quotaBytes });
    assert.equal(isFull, false);
    assert.ok(bytes);
    assert.ok(size() <= quotaBytes, `${size()} of ${quotaBytes}`);
    const ids = new Set(segmentsIn(dir));
    for (const path of statesIn(dir)) assert.ok(ids.has(/([0-9a-f]{64})\.state$/.exec(path)?.[1] ?? ""), path);
    assert.deepEqual(log, []);
  }
});

test("a state is not stored where the quota has no room beside the segment", async (context) => {
  const dir = temporaryFolder(context);
  const text = sampleText(1, 1400);
  const { ids } = await encodeOnce(join(dir, "first"), text);
  const quotaBytes = mostSegmentBytes(ids.length, shape) + 100;
  const { isFull, log } = await encodeOnce(join(dir, "small"), text, { quotaBytes });
  assert.equal(isFull, false);
  assert.deepEqual(statesIn(join(dir, "small")), []);
  assert.deepEqual(log, []);
});

test("two windows edit the same file at once", async (context) => {
  const dir = temporaryFolder(context);
  const shared = join(dir, "shared");
  const text = sampleText(1, 2500);
  await encodeOnce(shared, text);
  for (let round = 0; round < 3; round++) {
    const edits = [0, 1, 2].map((i) => `${text.slice(0, 900 + 400 * i + round)}EDIT${i};${text.slice(1000 + 400 * i)}`);
    // The last two edit it to the same.
    const texts = [...edits, edits[2]];
    const results = await Promise.all(texts.map((one) => encodeOnce(shared, one)));
    for (const [i, { bytes, log }] of results.entries()) {
      assert.deepEqual(bytes, (await encodeOnce(join(dir, hashOf(texts[i])), texts[i])).bytes);
      assert.deepEqual(log, []);
    }
  }
});

test(`killed ${N_KILLS} times while a long file is edited, nothing wrong is left`, async (context) => {
  const dir = temporaryFolder(context);
  const shared = join(dir, "shared");
  let nDone = 0;
  for (let kill = 0; kill < N_KILLS; kill++) {
    const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", CHILD, shared, `${kill % 3}`]);
    let output = "";
    let errors = "";
    child.stdout.on("data", (chunk) => {
      output += chunk;
    });
    child.stderr.on("data", (chunk) => {
      errors += chunk;
    });
    await Promise.race([once(child.stdout, "data"), once(child, "exit")]);
    await new Promise((resolve) => setTimeout(resolve, (kill * 53) % 300));
    const ended = once(child, "close");
    child.kill("SIGKILL");
    await ended;
    assert.equal(errors, "");
    // No line of the log: whatever was found on disk was whole.
    const lines = output.split("\n").slice(0, -1);
    assert.deepEqual([...new Set(lines)], ["done"]);
    nDone += lines.length;
  }
  assert.ok(nDone >= N_KILLS);
  for (const seed of [0, 1, 2].slice(0, N_KILLS)) {
    const [text] = editedVersions(seed).take(1);
    const last = `${text}LAST;`;
    const { bytes, runs, ids, log } = await encodeOnce(shared, last);
    assert.deepEqual(bytes, (await encodeOnce(join(dir, `${seed}`), last)).bytes);
    assert.ok(runs <= runsFor(STORED.storedTokens + RUN_TOKENS) && runs < runsFor(ids.length));
    assert.deepEqual(log, []);
  }
  assert.deepEqual(readdirSync(join(shared, "unfinished")), []);
});

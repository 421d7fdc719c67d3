import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { LongsightError } from "../../../engine/errors.ts";
import { CHUNK_TOKENS, Trust, WorkspaceMemory } from "../../../engine/memory/workspace-memory.ts";
import { readTensors } from "../../../engine/models/shipped-tensors.ts";
import { defaultModelDir } from "../../../engine/paths.ts";

interface Golden {
  /** What is added to the first 64 logits of the first token. */
  readonly logits: readonly number[];
  readonly without: readonly number[];
  readonly using: readonly number[];
  readonly mixed: readonly number[];
}

const golden: Golden = JSON.parse(readFileSync(join(defaultModelDir, "workspace-golden.json"), "utf8"));
const tensors = readTensors(join(defaultModelDir, "workspace.safetensors"));
const d = tensors.get("gate.weight")?.length ?? 0;
const [N_TOKENS, VOCABULARY] = [100, 200];

/** The made-up tokens of engine/training/workspace_train.py, `golden`. */
const grid = (rows: number, of: (row: number, i: number) => number) =>
  Float32Array.from({ length: rows * d }, (_, at) => of(Math.floor(at / d), at % d));
const embedding = grid(VOCABULARY, (v, i) => Math.sin(0.91 * v + 0.7 * i + 0.013 * v * i) / 8);
const hidden = grid(N_TOKENS, (t, i) => Math.sin(0.37 * t + 1.7 * i + 0.01 * t * i));
const following = Array.from({ length: N_TOKENS }, (_, t) => (t * 37) % VOCABULARY);
const logits = Float32Array.from({ length: N_TOKENS * VOCABULARY }, (_, at) => {
  const [t, v] = [Math.floor(at / VOCABULARY), at % VOCABULARY];
  let sum = 0;
  for (let i = 0; i < d; i++) sum += hidden[t * d + i] * embedding[v * d + i];
  return sum;
});

const made = () => new WorkspaceMemory(tensors, embedding);
const first = hidden.subarray(0, d);
function taught(): WorkspaceMemory {
  const memory = made();
  memory.learn(hidden, logits, following);
  return memory;
}

function scratch(context: { after(done: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), "longsight-workspace-"));
  context.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

suite("what a workspace teaches", () => {
  test("is what the trained twin learns and reads", () => {
    const added = taught().read(first);
    const size = Math.max(...golden.logits.map(Math.abs));
    assert.ok(size > 0.01);
    for (const [i, expected] of golden.logits.entries()) {
      assert.ok(Math.abs(added[i] - expected) < 1e-4 * Math.max(1, size), `${i}: ${added[i]}, not ${expected}`);
    }
  });

  test("an empty one adds exactly nothing, so does one that was reset, and reading changes nothing", () => {
    assert.ok(
      made()
        .read(first)
        .every((x) => x === 0),
    );
    const memory = taught();
    const before = memory.read(first);
    assert.ok(before.some((x) => x !== 0));
    memory.read(hidden.subarray(d, 2 * d));
    assert.deepEqual(memory.read(first), before);
    memory.reset();
    assert.ok(memory.read(first).every((x) => x === 0));
    assert.equal(memory.nTokens, 0);
  });

  test("is the same however reading is split at chunks", () => {
    const memory = made();
    memory.learn(
      hidden.slice(0, CHUNK_TOKENS * d),
      logits.slice(0, CHUNK_TOKENS * VOCABULARY),
      following.slice(0, CHUNK_TOKENS),
    );
    memory.learn(
      hidden.slice(CHUNK_TOKENS * d),
      logits.slice(CHUNK_TOKENS * VOCABULARY),
      following.slice(CHUNK_TOKENS),
    );
    assert.deepEqual(memory.read(first), taught().read(first));
    assert.equal(memory.nTokens, N_TOKENS);
  });

  test("is saved and taken up again to the bit, and goes on learning alike", (context) => {
    const path = join(scratch(context), "below", "workspace.memory");
    const memory = taught();
    memory.save(path);
    const again = made();
    assert.ok(again.load(path));
    assert.equal(again.nTokens, N_TOKENS);
    assert.deepEqual(again.read(first), memory.read(first));
    for (const one of [memory, again]) one.learn(hidden, logits, following);
    assert.deepEqual(again.read(first), memory.read(first));
  });

  test("a file that is damaged, cut short, of another model or gone is not taken up, and nothing is lost", (context) => {
    const folder = scratch(context);
    const path = join(folder, "workspace.memory");
    const memory = taught();
    memory.save(path);
    const before = memory.read(first);
    const bytes = readFileSync(path);
    const flipped = Buffer.from(bytes);
    flipped[bytes.length - 5] ^= 1;
    const other = new WorkspaceMemory(
      tensors,
      embedding.map((x) => 2 * x),
    );
    assert.ok(!other.load(path));
    for (const wrong of [flipped, bytes.subarray(0, -4), bytes.subarray(0, 20), Buffer.alloc(0), Buffer.from("\n")]) {
      writeFileSync(path, wrong);
      assert.ok(!memory.load(path));
    }
    assert.ok(!memory.load(join(folder, "gone")));
    assert.deepEqual(memory.read(first), before);
  });

  test("an unwritable place is said in one sentence", (context) => {
    const file = join(scratch(context), "file");
    writeFileSync(file, "");
    assert.throws(() => taught().save(join(file, "below", "deeper")), LongsightError);
  });
});

suite("trust", () => {
  test("is the trained twin's", () => {
    const trust = new Trust();
    for (const [t, without] of golden.without.entries()) {
      const mixed = trust.mixed(without, golden.using[t]);
      assert.ok(Math.abs(mixed - golden.mixed[t]) < 1e-6, `${t}: ${mixed}, not ${golden.mixed[t]}`);
    }
  });

  test("a memory that is always wrong costs next to nothing, one that is always better gives nearly all it has", () => {
    const [bad, good] = [new Trust(), new Trust()];
    let [lost, gained] = [0, 0];
    for (let t = 0; t < 200; t++) {
      lost += -1 - bad.mixed(-1, -3);
      gained += good.mixed(-1, -0.5) + 1;
    }
    assert.ok(lost > 0 && lost < 3, `${lost} nats lost of 400`);
    assert.ok(gained > 95 && gained < 100, `${gained} nats gained of 100`);
  });
});

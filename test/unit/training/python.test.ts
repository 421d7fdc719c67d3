/** The tests of the training code, which are written beside it in Python and need what it needs. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "../../..");
const home = process.env.LONGSIGHT_TRAINING ?? join(homedir(), ".cache/longsight/training");
const own = join(home, "venv/bin/python");
const python = process.env.PYTHON ?? (existsSync(own) ? own : "python3");
const hasTorch = spawnSync(python, ["-c", "import numpy, torch, tokenizers"]).status === 0;

test("the training code's own tests pass", { skip: hasTorch ? false : "no Python with PyTorch here" }, () => {
  const env = { ...process.env, PYTHONPATH: join(root, "engine") };
  const { status, stderr } = spawnSync(python, ["-m", "unittest", "discover", import.meta.dirname], { env });
  assert.equal(status, 0, stderr.toString());
});

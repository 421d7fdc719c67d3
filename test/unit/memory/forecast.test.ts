import assert from "node:assert/strict";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { forecastFolder } from "../../../engine/memory/forecast.ts";
import { indexFolder } from "../../../engine/memory/indexer.ts";
import { packageRoot } from "../../../engine/paths.ts";
import { open, scratch, write } from "./folder.ts";

test("the forecast counts the files that indexing will take up, and reads none", async (t) => {
  const folder = scratch(t);
  write(folder, {
    "a.ts": "export {};\n".repeat(7),
    "b/c.py": "x = 1\n",
    ".gitignore": "out\n",
    "out/d.ts": "left out",
  });
  const { files, nTokensAbout, index, memory } = await forecastFolder(folder);
  const indexed = await indexFolder(folder, { catalogue: open(t, scratch(t)) });
  assert.deepEqual({ files, nTokensAbout }, { files: indexed.files, nTokensAbout: indexed.nTokensAbout });
  for (const { ms, diskBytes } of [index, memory]) assert.ok(ms > 0 && diskBytes > 0);
});

test("the index's size on disk is about what was forecast", async (t) => {
  const folder = join(packageRoot, "engine", "memory");
  const { index } = await forecastFolder(folder);
  const dir = scratch(t);
  await indexFolder(folder, { catalogue: open(t, dir) });
  const size = readdirSync(dir).reduce((sum, name) => sum + statSync(join(dir, name)).size, 0);
  assert.ok(size > index.diskBytes / 3 && size < index.diskBytes * 3, `${index.diskBytes} forecast, ${size} found`);
});

test("a folder that is not there, and a cancelled forecast", async (t) => {
  await assert.rejects(forecastFolder(join(scratch(t), "none")), { code: "not-found" });
  const folder = scratch(t);
  write(folder, { "a.ts": "export {};\n" });
  await assert.rejects(forecastFolder(folder, AbortSignal.abort()), { code: "cancelled" });
});

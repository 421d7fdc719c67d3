/**
 * An engine that indexes and encodes a folder (its argument) and completes there. Prints a `LargeEngine`.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { Engine } from "../../engine/engine.ts";
import { cacheDir } from "../../engine/paths.ts";
import type { LargeEngine } from "./large.ts";

const [folder] = process.argv.slice(2);

/** The most RAM this process has had; where the system does not tell, what it has now. */
function peakBytes(): number {
  const { maxRSS } = process.resourceUsage();
  return maxRSS > 0 ? maxRSS * 1024 : process.memoryUsage.rss();
}

async function timedMs(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}

const sizeOf = (dir: string) =>
  readdirSync(dir, { recursive: true, encoding: "utf8" }).reduce(
    (sum, name) => sum + statSync(join(dir, name)).size,
    0,
  );

const engine = new Engine();
const indexedMs = await timedMs(() => engine.index(folder));
const encodedMs = await timedMs(() => engine.encode(folder));
const text = readFileSync(import.meta.filename, "utf8");
const place = { folder, path: "new.ts", prefix: text.slice(0, text.indexOf("const place")), suffix: "\n" };
const completedMs = await timedMs(() => engine.complete({ ...place, maxTokens: 16 }));
const memory = engine.status().memories[folder];
if (!memory) throw new Error(`${folder} has no memory`);
const told: LargeEngine = {
  files: memory.filesTotal,
  nTokens: memory.nTokens,
  diskBytes: sizeOf(cacheDir()),
  peakBytes: peakBytes(),
  ...{ indexedMs, encodedMs, completedMs },
};
console.log(JSON.stringify(told));
await engine.close();

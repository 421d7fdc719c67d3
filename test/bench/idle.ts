/**
 * What a model that is given back leaves of an engine's RAM: the engine of this script has indexed and encoded a folder
 * (its argument), completes there, and is then left alone. Prints [before, while in use, afterwards], resident bytes.
 */
import { setTimeout as delay } from "node:timers/promises";
import { Engine } from "../../engine/engine.ts";

const IDLE_MS = 1000;
/** Freed pages go back to the system a while after. */
const SETTLE_MS = 5000;
const LIMIT_MS = 60_000;

const [folder] = process.argv.slice(2);
const rss = () => process.memoryUsage.rss();
const before = rss();
const engine = new Engine({ idleMs: IDLE_MS });
await engine.encode(folder);
await engine.complete({ folder, path: "new.ts", prefix: "const a = 1;\nconst b = ", suffix: "\n" });
const inUse = rss();
const endMs = performance.now() + LIMIT_MS;
while (engine.status().loadedModels.length > 0 && performance.now() < endMs) await delay(100);
if (engine.status().loadedModels.length > 0) throw new Error("the model was not given back");
await delay(SETTLE_MS);
console.log(JSON.stringify([before, inUse, rss()]));
await engine.close();

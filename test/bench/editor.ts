/**
 * How the editor feels what the engine does: the extension's own parts, without an editor around them, against a real
 * engine process that indexes and encodes a million tokens.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type * as vscode from "vscode";
import { engineEnv } from "../../engine/link.ts";
import { packageRoot } from "../../engine/paths.ts";
import { requests } from "../../engine/protocol.ts";
import { editor } from "../editor.ts";
import { installExtension } from "../installed-extension.ts";
import { fill } from "./index.ts";
import { atMost, quantile, type Row, told } from "./rows.ts";

editor();
const { benchCancelling } = await import("./cancelling.ts");
const { benchTyping } = await import("./typing.ts");
const { EngineHost } = await import("../../extension/engine-host.ts");
const { FolderIndex } = await import("../../extension/workspace/folder-index.ts");
const { Uri } = await import("vscode");

type Host = InstanceType<typeof EngineHost>;

const TICK_MS = 5;
/** How long this process is watched before there is an engine: so late it is anyway. */
const ALONE_MS = 5_000;
/** How long the encoding is watched; it takes minutes. */
const ENCODING_MS = 20_000;
const IN_TURN_ROUNDS = 20;

/** How late the timers of this process are, from now until `stop`, in ms. */
function watchEventLoop(): { stop(): number[] } {
  const late: number[] = [];
  let dueMs = performance.now() + TICK_MS;
  const timer = setInterval(() => {
    const now = performance.now();
    late.push(Math.max(0, now - dueMs));
    dueMs = now + TICK_MS;
  }, TICK_MS);
  return {
    stop: () => {
      clearInterval(timer);
      return late;
    },
  };
}

/** Completions at many places while something else goes on, in ms. */
async function completeUntil(host: Host, folder: string, isOver: () => boolean): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; !isOver(); i++) {
    const startMs = performance.now();
    const prefix = `${"const a = 1;\n".repeat(20)}const value${i} = `;
    await host.request(requests.complete, { folder, path: "new.ts", prefix, suffix: "\n", maxTokens: 16 });
    times.push(performance.now() - startMs);
    await delay(50);
  }
  return times;
}

/** A script's output on this Node, undefined where it fails; it has said why. */
function runScript(path: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): string | undefined {
  try {
    return execFileSync(process.execPath, ["--disable-warning=ExperimentalWarning", path, ...args], {
      cwd: packageRoot,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, ...env },
    });
  } catch {
    return undefined;
  }
}

function benchActivation(): Row[] {
  const said = runScript("test/e2e/activation.ts");
  if (said === undefined) {
    console.error("Skipped the activation.");
    return [];
  }
  const times = JSON.parse(said.slice(said.indexOf("["))) as number[];
  return [
    atMost(`activate() in a workbench, median of ${times.length}`, quantile(times, 0.5), "ms", 50),
    told("the same, slowest", Math.max(...times), "ms"),
  ];
}

/** What is in the store already is not made anew. */
function benchIdle(folder: string, cache: string): Row[] {
  const said = runScript("test/bench/idle.ts", [folder], engineEnv({ LONGSIGHT_CACHE: cache }));
  if (said === undefined) throw new Error("the idle engine could not be measured");
  const [before, inUse, after] = (JSON.parse(said) as number[]).map((bytes) => bytes / 2 ** 20);
  return [
    told("engine's RAM before it does anything", before, "MiB"),
    told("engine's RAM after encoding 1M tokens and completing", inUse, "MiB"),
    told("engine's RAM once the idle model is given back", after, "MiB"),
  ];
}

/** Two windows complete in turn, each in a file of its own, a key further each time, in ms. */
async function completeInTurn(host: Host, folder: string): Promise<number[]> {
  const times: number[] = [];
  const texts = ["price", "weight"].map((name) =>
    Array.from({ length: 100 }, (_, line) => `const ${name}${line} = ${name}Of(${line});\n`).join(""),
  );
  for (let round = 0; round < IN_TURN_ROUNDS; round++) {
    for (const [window, text] of texts.entries()) {
      const startMs = performance.now();
      const prefix = `${text}const next = ${"x".repeat(round)}`;
      await host.request(requests.complete, { folder, path: `${window}.ts`, prefix, suffix: "\n", maxTokens: 16 });
      if (round > 0) times.push(performance.now() - startMs);
    }
  }
  return times;
}

/** Takes about two minutes, and one and a half more for each of the repositories (git folders) whose edits are typed. */
export async function benchEditor(repositories: readonly string[]): Promise<Row[]> {
  const activation = benchActivation();
  const base = mkdtempSync(join(tmpdir(), "longsight-bench-"));
  // What is shipped: it starts three times as fast as its sources.
  const installed = installExtension(`import ${JSON.stringify(join(packageRoot, "dist", "server.js"))};`);
  const context = { extensionPath: installed.extensionPath, globalStorageUri: Uri.file(installed.storage) };
  const host = new EngineHost(context as vscode.ExtensionContext);
  try {
    const folder = join(base, "folder");
    fill(folder);
    const alone = watchEventLoop();
    await delay(ALONE_MS);
    const lateAlone = alone.stop();
    const startMs = performance.now();
    await host.request(requests.status, {});
    const answeredMs = performance.now() - startMs;
    await host.request(requests.complete, { path: "new.ts", prefix: "const a = ", suffix: "\n" });
    const readyMs = performance.now() - startMs;

    const index = new FolderIndex({ uri: Uri.file(folder), name: "folder", index: 0 }, host, () => {});
    const loop = watchEventLoop();
    let isIndexed = false;
    const indexing = index.update(true).then(() => {
      isIndexed = true;
    });
    const whileIndexing = await completeUntil(host, folder, () => isIndexed);
    await indexing;
    const endMs = performance.now() + ENCODING_MS;
    const whileEncoding = await completeUntil(host, folder, () => performance.now() > endMs);
    const late = loop.stop();
    index.dispose();

    const stopped = await benchCancelling(host, folder);
    const inTurn = await completeInTurn(host, folder);
    const typing = await benchTyping(host, repositories, base);
    await host.end();
    const idle = benchIdle(folder, host.cacheFolder);
    return [
      ...activation,
      atMost("engine ready, from its start to its first completion", readyMs, "ms", 1500),
      told("the same, to its first answer", answeredMs, "ms"),
      atMost(
        "extension host's event loop, p99 late while 1M tokens are indexed and encoded",
        quantile(late, 0.99),
        "ms",
        20,
      ),
      told("the same, the latest", Math.max(...late), "ms"),
      told("the same before there is an engine, p99", quantile(lateAlone, 0.99), "ms"),
      told(
        `completion of 16 tokens while indexing, p95 of ${whileIndexing.length}`,
        quantile(whileIndexing, 0.95),
        "ms",
      ),
      told("completion of 16 tokens while encoding, p50", quantile(whileEncoding, 0.5), "ms"),
      told(
        `completion of 16 tokens while encoding, p95 of ${whileEncoding.length}`,
        quantile(whileEncoding, 0.95),
        "ms",
      ),
      ...stopped,
      told("two windows complete 16 tokens in turn, p50", quantile(inTurn, 0.5), "ms"),
      ...typing,
      ...idle,
    ];
  } finally {
    await host.end();
    installed.remove();
    rmSync(base, { recursive: true, force: true });
  }
}

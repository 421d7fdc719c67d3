/** The engine and its stores as they are now, for the diagnostics panel. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import * as vscode from "vscode";
import { type EngineStatus, requests } from "../../engine/protocol.ts";
import type { EngineFacts } from "../../webview/diagnostics-messages.ts";
import type { CompletionCounts } from "../completion/provider.ts";
import type { EngineHost } from "../engine-host.ts";
import { freshness } from "../workspace/freshness.ts";
import type { Indexes } from "../workspace/indexes.ts";

/** Asks a running engine; one that does not run is not started for this. */
export async function gatherFacts(
  engine: EngineHost,
  indexes: Indexes,
  counts: CompletionCounts,
  storeBytes: number | null,
): Promise<EngineFacts> {
  const status: EngineStatus | undefined =
    engine.state === "running" ? await engine.ask(requests.status, {}).catch(() => undefined) : undefined;
  return {
    state: engine.state,
    pid: engine.pid ?? null,
    startMs: engine.startMs ?? null,
    rssBytes: status?.rssBytes ?? null,
    models: status?.loadedModels.map((name) => readingText(name, status.readings[name])) ?? [],
    storeBytes,
    folders: indexes.all().map((index) => {
      const result = index.state.kind === "ready" ? index.state.result : undefined;
      const memory = Object.entries(status?.memories ?? {}).find(([path]) => path === index.folder.uri.fsPath)?.[1];
      return {
        name: index.folder.name,
        freshness: freshness(index),
        nFiles: result?.files ?? null,
        nTokensAbout: result?.nTokensAbout ?? null,
        filesEncoded: memory?.filesEncoded ?? null,
        filesTotal: memory?.filesTotal ?? null,
        memoryTokens: memory?.nTokens ?? null,
        remainingMs: memory?.encoding?.remainingMs ?? null,
        isPaused: memory?.isPaused ?? false,
      };
    }),
    sources: counts.sources,
    shownAbout: counts.shown,
    accepted: counts.accepted,
  };
}

/** A model's name, and how it reads repositories where it has a choice. */
function readingText(name: string, reading: EngineStatus["readings"][string] | undefined): string {
  if (!reading) return name;
  const { t } = vscode.l10n;
  const { way, plan } = reading;
  return way === "memory" ? t("{0} (from memory, plan {1})", name, plan) : t("{0} (as text, plan {1})", name, plan);
}

/** The bytes of all files in a folder; 0 where it is not there yet. */
export async function folderBytes(folder: string): Promise<number> {
  let bytes = 0;
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    // What is gone by now takes no room.
    bytes += await stat(join(entry.parentPath, entry.name)).then(
      ({ size }) => size,
      () => 0,
    );
  }
  return bytes;
}

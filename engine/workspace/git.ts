/** What git knows about a folder, read from its files: no git binary is needed. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, isAbsolute, join, resolve } from "node:path";

export interface Repository {
  /** The folder that holds `.git`. */
  readonly root: string;
  /** Where `info/exclude` and `config` lie; for a worktree that of the main repository. */
  readonly commonDir: string;
}

/** The repository that a folder lies in, undefined where it lies in none. */
export function repositoryOf(folder: string): Repository | undefined {
  for (let root = resolve(folder); ; root = dirname(root)) {
    const gitDir = gitDirOf(root);
    if (gitDir) return { root, commonDir: commonDirOf(gitDir) };
    if (dirname(root) === root) return undefined;
  }
}

/** Whether a folder holds a repository of its own. */
export function isRepositoryRoot(folder: string): boolean {
  return gitDirOf(folder) !== undefined;
}

/** `.git` is a folder, or for worktrees and submodules a file that names one. */
function gitDirOf(root: string): string | undefined {
  const path = join(root, ".git");
  try {
    if (statSync(path).isDirectory()) return existsSync(join(path, "HEAD")) ? path : undefined;
  } catch {
    return undefined;
  }
  const target = /^gitdir: (.+)$/m.exec(readOrEmpty(path))?.[1];
  return target === undefined ? undefined : resolve(root, target);
}

function commonDirOf(gitDir: string): string {
  const common = readOrEmpty(join(gitDir, "commondir")).trim();
  return common === "" ? gitDir : resolve(gitDir, common);
}

export interface IgnoreSettings {
  readonly ignoreCase: boolean;
  /** The user's own ignore file. */
  readonly excludesFile: string;
}

/** The settings of core.* that concern ignore rules; of several configuration files the most specific one wins. */
export function ignoreSettings(commonDir: string | undefined): IgnoreSettings {
  const configHome = process.env.XDG_CONFIG_HOME || join(homedir(), ".config");
  const files = [
    "/etc/gitconfig",
    ...(process.env.GIT_CONFIG_GLOBAL !== undefined
      ? [process.env.GIT_CONFIG_GLOBAL]
      : [join(configHome, "git", "config"), join(homedir(), ".gitconfig")]),
    ...(commonDir ? [join(commonDir, "config")] : []),
  ];
  let ignoreCase = false;
  let excludesFile = join(configHome, "git", "ignore");
  for (const file of files) {
    const core = coreSection(readOrEmpty(file));
    const value = core.get("ignorecase");
    if (value !== undefined) ignoreCase = /^(true|yes|on|1)$/i.test(value);
    const path = core.get("excludesfile");
    if (path) excludesFile = expand(path, dirname(file));
  }
  return { ignoreCase, excludesFile };
}

function expand(path: string, relativeTo: string): string {
  if (path.startsWith("~/")) return join(homedir(), path.slice(2));
  return isAbsolute(path) ? path : join(relativeTo, path);
}

/** Keys (lower-case) and values of a configuration's [core] sections; a key without a value is true. */
function coreSection(config: string): Map<string, string> {
  const values = new Map<string, string>();
  let isCore = false;
  for (const line of config.split(/\r?\n/)) {
    const section = /^\s*\[\s*([^\]\s]+)[^\]]*\]/.exec(line)?.[1];
    if (section !== undefined) isCore = section.toLowerCase() === "core";
    const entry = /^\s*(?:\[[^\]]*\])?\s*([a-z][a-z0-9-]*)\s*(?:=\s*(.*?))?\s*$/i.exec(line);
    if (!isCore || !entry) continue;
    const value =
      /^"((?:[^"\\]|\\.)*)"/.exec(entry[2] ?? "true")?.[1] ?? (entry[2] ?? "true").replace(/\s*[#;].*$/, "");
    values.set(entry[1].toLowerCase(), value.replace(/\\(.)/g, "$1"));
  }
  return values;
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

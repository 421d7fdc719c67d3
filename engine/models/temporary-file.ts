/** Files are written under a temporary name and renamed once they are whole; what a killed process left is removed. */
import { randomUUID } from "node:crypto";
import { readdirSync, rmSync } from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";

/** This machine in a file name: several may share a cache folder, and process ids mean something on one only. */
const HOST = hostname().replace(/[^\w-]/g, "_");

/** A new name beside `path` that says which process writes there. */
export function temporaryName(path: string): string {
  return join(dirname(path), `${basename(path)}.${HOST}.${process.pid}.${randomUUID()}.tmp`);
}

/** Removes the temporary files in a folder whose process on this machine is gone. */
export function removeAbandoned(folder: string): void {
  for (const name of namesIn(folder)) {
    const [host, pid] = name.split(".").slice(-4, -2);
    if (!name.endsWith(".tmp") || host !== HOST || isAlive(Number(pid))) continue;
    rmSync(join(folder, name), { force: true });
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    // Nothing was ever written there.
    return [];
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: unknown }).code !== "ESRCH";
  }
}

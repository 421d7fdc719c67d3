/** The commit a folder is at, for the freshness line. */
import { execFile } from "node:child_process";

const TIMEOUT_MS = 5000;

/** The short name of the commit checked out in `folder`; null where there is none, or no git. */
export function revisionOf(folder: string): Promise<string | null> {
  return new Promise((resolve) => {
    execFile("git", ["-C", folder, "rev-parse", "--short", "HEAD"], { timeout: TIMEOUT_MS }, (error, stdout) =>
      resolve(error ? null : stdout.trim() || null),
    );
  });
}

/** The folder that holds HEAD for the work tree `folder`, which may be linked to a repository elsewhere; null without git. */
export function gitFolderOf(folder: string): Promise<string | null> {
  return new Promise((resolve) => {
    execFile("git", ["-C", folder, "rev-parse", "--absolute-git-dir"], { timeout: TIMEOUT_MS }, (error, stdout) =>
      resolve(error ? null : stdout.trim() || null),
    );
  });
}

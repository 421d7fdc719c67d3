/** Where things lie on disk. Both engine/paths.ts and the bundles in dist/ are one level below the package root. */
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The package's root folder. */
export const packageRoot = fileURLToPath(new URL("..", import.meta.url));

/** The folder of the model that ships with the package. */
export const defaultModelDir = join(packageRoot, "engine", "models", "default");

/**
 * The user's cache folder for indexes and converted weights. LONGSIGHT_CACHE overrides it; the extension passes
 * the editor's own storage folder.
 */
export function cacheDir(): string {
  if (process.env.LONGSIGHT_CACHE) return process.env.LONGSIGHT_CACHE;
  if (process.platform === "darwin") return join(homedir(), "Library", "Caches", "longsight");
  if (process.platform === "win32") {
    return join(process.env.LOCALAPPDATA ?? join(homedir(), "AppData", "Local"), "longsight");
  }
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "longsight");
}

/** Whether this copy of the extension has an engine for this machine. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { LongsightError } from "../engine/errors.ts";

/** The platforms the engine's libraries exist for, as in the names of the packages. */
const PLATFORMS = ["linux-x64", "linux-arm64", "win32-x64", "win32-arm64", "darwin-arm64"];

/** Where the packages lie: beside the bundles when installed, in the root folder during development. */
const MODULES = [join("dist", "node_modules"), "node_modules"];

/** Errors: unsupported where there is no engine for the platform, or where another platform's package is installed. */
export function requireEngine(extensionFolder: string, platform = `${process.platform}-${process.arch}`): void {
  if (!PLATFORMS.includes(platform)) {
    throw new LongsightError(
      "unsupported",
      `Longsight has no engine for ${platform}; it runs on ${PLATFORMS.join(", ")}.`,
    );
  }
  const library = join("onnxruntime-node", "bin", "napi-v6", ...platform.split("-"), "onnxruntime_binding.node");
  if (MODULES.some((modules) => existsSync(join(extensionFolder, modules, library)))) return;
  throw new LongsightError(
    "unsupported",
    `This copy of Longsight has no engine for ${platform}; install the package longsight-${platform}.`,
  );
}

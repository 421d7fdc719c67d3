/** The extension as it is installed, on a machine of its own: its storage, and the place where windows meet. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packageRoot } from "../engine/paths.ts";

export interface InstalledExtension {
  readonly extensionPath: string;
  /** The editor's storage folder for it, which is not made yet. */
  readonly storage: string;
  remove(): void;
}

const ENGINE = `import ${JSON.stringify(join(packageRoot, "engine", "server.ts"))};`;

/** Installs it with this script as its engine, by default the real one. */
export function installExtension(engine = ENGINE): InstalledExtension {
  const home = mkdtempSync(join(tmpdir(), "ls-"));
  const extensionPath = join(home, "extension");
  mkdirSync(join(extensionPath, "dist"), { recursive: true });
  writeFileSync(join(extensionPath, "dist", "server.js"), engine);
  writeFileSync(join(extensionPath, "package.json"), `{ "type": "module" }`);
  symlinkSync(join(packageRoot, "node_modules"), join(extensionPath, "node_modules"));
  const before = process.env.XDG_RUNTIME_DIR;
  process.env.XDG_RUNTIME_DIR = home;
  return {
    extensionPath,
    storage: join(home, "storage"),
    remove: () => {
      if (before === undefined) delete process.env.XDG_RUNTIME_DIR;
      else process.env.XDG_RUNTIME_DIR = before;
      rmSync(home, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Prints how long the packed extension takes to activate in a real workbench, in ms; exits with 1 where none can be had. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { packageVsix } from "../../build.mjs";
import { Workbench } from "./workbench.ts";
import { installWorkbench } from "./workbench-install.ts";

const installed = installWorkbench();
if (typeof installed === "string") {
  console.error(installed);
  process.exit(1);
}
const folder = mkdtempSync(join(tmpdir(), "longsight-vsix-"));
try {
  const [vsix] = await packageVsix(["linux-x64"], folder);
  const library = fileURLToPath(new URL("fixtures/library", import.meta.url));
  const workbench = await Workbench.start({ installed, vsix, folders: [library] });
  try {
    await workbench.waitUntilIndexed();
    console.log(Number(/Activated in ([\d.]+) ms/.exec(workbench.log())?.[1]));
  } finally {
    await workbench.close();
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

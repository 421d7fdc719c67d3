/**
 * Prints how long the packed extension takes to activate in a real workbench that is loaded several times: [ms, ...];
 * exits with 1 where no workbench can be had.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { packageVsix } from "../../build.mjs";
import { Workbench } from "./workbench.ts";
import { installWorkbench } from "./workbench-install.ts";

const N_LOADS = 5;

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
    for (let load = 1; load < N_LOADS; load++) {
      await workbench.reload();
      await workbench.waitUntilIndexed();
    }
    const told = workbench.log().matchAll(/Activated in ([\d.]+) ms/g);
    console.log(JSON.stringify([...told].map(([, ms]) => Number(ms))));
  } finally {
    await workbench.close();
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** The engine process: it ends with the last window, is started anew when it is lost, and follows what happens to the files. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Workbench } from "../workbench.ts";

export async function engine(context: TestContext, workbench: Workbench): Promise<void> {
  await workbench.waitUntilIndexed();

  await context.test("the extension says how long its activation took", () => {
    const ms = Number(/Activated in ([\d.]+) ms/.exec(workbench.log())?.[1]);
    context.diagnostic(`activated in ${ms} ms`);
    assert.ok(Number.isFinite(ms));
  });

  await context.test("a file created outside the editor is taken into the index", async () => {
    const before = indexedFiles(workbench);
    writeFileSync(join(workbench.folders[0], "src", "shelves.py"), "def shelf_of(book_id):\n    return book_id % 40\n");
    await until(() => indexedFiles(workbench) === before + 1);
  });

  await context.test("killed, it is started anew when it is needed again", async () => {
    const pid = enginePids(workbench).at(-1)!;
    process.kill(pid, "SIGKILL");
    await until(() => workbench.log().includes("The Longsight engine stopped"));
    await workbench.command("Longsight: Bring the Index up to Date");
    await until(() => enginePids(workbench).at(-1) !== pid);
    assert.ok(isRunning(enginePids(workbench).at(-1)!));
  });

  await context.test("a second window has its own extension and the same engine; both work", async () => {
    const second = await workbench.secondWindow();
    await second.locator('.statusbar-item[aria-label*="up to date"]').waitFor();
    assert.equal(new Set(enginePids(workbench).slice(-2)).size, 1);
    // Left as a user leaves it: a page that is just closed is waited for, should it come back.
    await second.goto("about:blank");
    await second.close();
    await workbench.waitUntilIndexed();
  });

  await context.test("stores are cleared for two windows at once, and both index their folder anew", async () => {
    const second = await workbench.secondWindow();
    await second.locator('.statusbar-item[aria-label*="up to date"]').waitFor();
    const nFiles = indexedFiles(workbench);
    const nWhole = () => indexings(workbench).filter((nTakenUp) => nTakenUp === nFiles).length;
    const [nWholeBefore, known] = [nWhole(), new Set(enginePids(workbench))];
    await workbench.command("Longsight: Delete All Indexes and Memories", true);
    await workbench.page.locator(".monaco-dialog-box .dialog-buttons a", { hasText: "Delete" }).click();
    // Whichever window comes first finds an empty store; both find the same engine.
    await until(() => nWhole() > nWholeBefore);
    const fresh = () => enginePids(workbench).filter((pid) => !known.has(pid));
    await until(() => fresh().length === 2);
    assert.equal(new Set(fresh()).size, 1);
    await second.locator('.statusbar-item[aria-label*="up to date"]').waitFor();
    await workbench.waitUntilIndexed();
    await second.goto("about:blank");
    await second.close();
  });

  await context.test("a window that is loaded anew finds its engine again", async () => {
    const pid = enginePids(workbench).at(-1)!;
    const nStarts = enginePids(workbench).length;
    await workbench.reload();
    await workbench.waitUntilIndexed();
    await until(() => enginePids(workbench).length > nStarts);
    assert.equal(enginePids(workbench).at(-1), pid);
  });

  await context.test("the engine ends by itself when all windows are closed", async () => {
    const pid = enginePids(workbench).at(-1)!;
    await workbench.page.goto("about:blank");
    await until(() => !isRunning(pid));
  });
}

function enginePids(workbench: Workbench): number[] {
  return [...workbench.log().matchAll(/runs as process (\d+)/g)].map(([, pid]) => Number(pid));
}

function indexedFiles(workbench: Workbench): number {
  return Number([...workbench.log().matchAll(/(\d+) files in the index/g)].at(-1)?.[1]);
}

/** How many files each indexing has taken up; those of one window after those of the other. */
function indexings(workbench: Workbench): number[] {
  return [...workbench.log().matchAll(/files in the index, (\d+) taken up/g)].map(([, n]) => Number(n));
}

function isRunning(pid: number): boolean {
  try {
    return !execFileSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" }).startsWith("Z");
  } catch {
    return false;
  }
}

/** Waits until `holds`, for 30 s at most. */
async function until(holds: () => boolean): Promise<void> {
  const limitMs = performance.now() + 30_000;
  while (!holds()) {
    if (performance.now() > limitMs) throw new Error(`Never became true: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Workspaces of several folders, and such as are not trusted. */
import assert from "node:assert/strict";
import { mkdtempSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Workbench } from "../workbench.ts";

export async function severalFolders(context: TestContext, workbench: Workbench): Promise<void> {
  const { page } = workbench;

  await context.test("every folder has an index of its own", async () => {
    const both = ["library: Index of 6 files, up to date", "notes: Index of 5 files, up to date"];
    await page.locator(`.statusbar-item${both.map((part) => `[aria-label*="${part}"]`).join("")}`).waitFor();
  });

  await context.test("the folder to ask is the user's choice", async () => {
    await workbench.openView("Longsight");
    const panel = workbench.webview();
    await panel.locator("button.facts").click();
    await page.locator(".quick-input-list .monaco-list-row", { hasText: "notes" }).click();
    await panel.locator("button.facts", { hasText: "notes" }).waitFor();
    await panel.locator("textarea").fill("When is the reading room open?");
    await panel.locator("textarea").press("Enter");
    await panel.locator('article[data-state="done"] .source', { hasText: "opening.md" }).first().waitFor();
  });
}

export async function restricted(context: TestContext, workbench: Workbench): Promise<void> {
  const { page } = workbench;

  await context.test("in a workspace that is not trusted nothing is read and no engine runs", async () => {
    await page.locator('.statusbar-item[aria-label*="off until the workspace is trusted"]').waitFor();
    await page.waitForTimeout(2000);
    assert.match(workbench.log(), /not trusted/);
    assert.doesNotMatch(workbench.log(), /runs as process/);
    assert.equal(await page.locator('.activitybar .action-item a[aria-label^="Longsight"]').count(), 0);
  });
}

/** A folder with more source than is indexed unasked: files with a size and nothing in them. */
export function largeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "longsight-large-"));
  for (let i = 0; i < 60; i++) {
    const path = join(folder, `generated${i}.ts`);
    writeFileSync(path, "");
    truncateSync(path, 1024 * 1024);
  }
  return folder;
}

export async function asksBeforeMuchWork(context: TestContext, workbench: Workbench): Promise<void> {
  const { page } = workbench;
  const question = page.locator(".notification-list-item", { hasText: "60 files, about" });

  await context.test("what a large folder takes is said, and nothing is done before it is agreed to", async () => {
    await question.waitFor();
    const text = (await question.textContent()) ?? "";
    // How much is the forecast's to say, and tested there.
    assert.match(text, /60 files, about [\d,]+ tokens\. The index takes about \d+ s and \d+ MB of disk/);
    assert.match(text, /the memory for completions about \d+ min in the background and [\d.]+ GB\./);
    await question.getByRole("button", { name: "Not Now" }).click();
    await page.locator('.statusbar-item[aria-label*="Not indexed yet"]').waitFor();
    assert.doesNotMatch(workbench.log(), /files in the index/);
  });

  await context.test("it is done when the user asks for it", async () => {
    await workbench.command("Longsight: Bring the Index up to Date");
    await workbench.waitUntilIndexed();
    assert.equal(await question.filter({ hasText: "Not Now" }).count(), 0);
  });
}

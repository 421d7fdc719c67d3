/** Workspaces of several folders, and such as are not trusted. */
import assert from "node:assert/strict";
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

/** From the installed extension to an answer and a suggestion where no network exists. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { Workbench } from "../workbench.ts";

export async function offline(context: TestContext, workbench: Workbench): Promise<void> {
  const { page } = workbench;
  await workbench.waitUntilIndexed();

  await context.test("nothing but the editor's own server can be reached", async () => {
    await assert.rejects(page.evaluate(() => fetch("http://192.0.2.1/", { mode: "no-cors" })));
  });

  await context.test("a question is answered with its sources", async () => {
    await workbench.openView("Longsight");
    const panel = workbench.webview();
    await panel.locator("textarea").fill("How often can a loan be renewed?");
    await panel.locator("textarea").press("Enter");
    await panel.locator('article[data-state="done"] .source', { hasText: "loans.py" }).first().waitFor();
  });

  await context.test("code is completed", async () => {
    await workbench.openFile("practice.py");
    await workbench.goTo(10, 5);
    await page.keyboard.type("return self.start_day + LOAN_D", { delay: 40 });
    assert.notEqual(await workbench.waitForGhostText(), "");
  });
}

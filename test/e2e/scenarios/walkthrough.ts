/** The walkthrough that a new user is shown. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { Workbench } from "../workbench.ts";

export async function walkthrough(context: TestContext, workbench: Workbench): Promise<void> {
  const { page } = workbench;

  await context.test("five steps, each with its text; what was done is ticked off", async () => {
    await workbench.command("Welcome: Open Walkthrough...", true);
    await page.locator(".quick-input-widget input[type=text]").fill("Get started with Longsight");
    await page.locator(".quick-input-list .monaco-list-row", { hasText: "Get started with Longsight" }).first().click();
    const steps = page.locator(".gettingStartedContainer .getting-started-step");
    await steps.first().waitFor();
    assert.deepEqual(await steps.locator(".step-title").allTextContents(), [
      "The folder is indexed",
      "Ask a question",
      "Let code be completed",
      "Choose a model, if you like",
      "See what it did",
    ]);
    for (let step = 0; step < 5; step++) {
      await steps.nth(step).click();
      // While a step loads, a second frame is there.
      const frame = page.locator(".getting-started-media").frameLocator("iframe").frameLocator("iframe#active-frame");
      await frame.locator("body", { hasText: /\S[\s\S]{50}/ }).waitFor({ state: "attached" });
    }
  });

  await context.test("a step's button does what it says", async () => {
    await page
      .locator(
        ".getting-started-step.expanded .getting-started-step-description a, .getting-started-step.expanded .button-container a",
      )
      .last()
      .click();
    await page.locator('.tab[aria-label*="Diagnostics"]').waitFor();
  });
}

/** A real model behind a server: streamed into the panel, stopped half-way, asked with the right key, gone. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { LlamaServer } from "../../llama-server.ts";
import type { Workbench } from "../workbench.ts";

export const LLAMA_KEY = "the right key";

export async function llamaAnswers(context: TestContext, workbench: Workbench, server: LlamaServer): Promise<void> {
  const { page } = workbench;
  await workbench.waitUntilIndexed();
  await workbench.openView("Longsight");
  const panel = workbench.webview();
  const turn = panel.locator("article").last();
  const ask = async () => {
    await panel.locator("textarea").fill("How often can a loan be renewed?");
    await panel.locator("textarea").press("Enter");
  };

  await context.test("without the key the server refuses, and the panel says what to do", async () => {
    await ask();
    await turn.locator(".error", { hasText: /refuses with status 401.*Longsight: Set Server Key/ }).waitFor();
    assert.equal(server.nGenerated(), 0);
  });

  await context.test("with the key it writes, and Stop ends its work as well", async () => {
    await workbench.command("Longsight: Set Server Key", true);
    await page.locator(".quick-input-widget input").first().fill(LLAMA_KEY);
    await page.keyboard.press("Enter");
    await ask();
    await turn.locator(".answer", { hasText: /\w+ \w+/ }).waitFor();
    await panel.getByRole("button", { name: "Stop" }).click();
    await panel.locator('article[data-state="stopped"]').waitFor();
    for (let tries = 0; tries < 100 && server.nLeft() === 0; tries++) await page.waitForTimeout(50);
    assert.equal(server.nLeft(), 1);
    // What was written until then stays, with the places that were found.
    assert.match((await turn.locator(".answer").textContent()) ?? "", /\w/);
    await turn.locator(".source", { hasText: "loans.py" }).first().waitFor();
  });

  await context.test("once the server is gone, the panel says so in one sentence", async () => {
    await server.close();
    await ask();
    await turn
      .locator(".error", { hasText: /cannot be reached \(ECONNREFUSED\); check longsight\.server\.url/ })
      .waitFor();
  });
}

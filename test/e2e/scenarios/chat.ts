/** The chat panel: questions, citations that open their lines, mentions, history. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Workbench } from "../workbench.ts";

export async function chat(context: TestContext, workbench: Workbench): Promise<void> {
  const { page } = workbench;
  await workbench.waitUntilIndexed();
  await workbench.openView("Longsight");
  const panel = workbench.webview();
  const box = panel.locator("textarea");
  const lastTurn = panel.locator("article.turn").last();

  await context.test("an answer comes with sources, and a source opens its lines", async () => {
    await box.fill("How often can a loan be renewed?");
    await box.press("Enter");
    await panel.locator('article[data-state="done"]').waitFor();
    assert.match((await lastTurn.locator(".answer").textContent()) ?? "", /renewed too often/);
    const source = lastTurn.locator(".source").first();
    const label = (await source.getAttribute("aria-label")) ?? "";
    const [, file, start] = /^(\S+?):(\d+)/.exec(label) ?? [];
    assert.ok(file && start, label);
    await source.click();
    await page.locator(`.monaco-editor[data-uri$="/${file}"]`).waitFor();
    const lines = readFileSync(join(workbench.folders[0], file), "utf8").split("\n");
    await page
      .locator(".monaco-editor .view-line", { hasText: lines[Number(start) - 1].trim() })
      .first()
      .waitFor();
    assert.match(await workbench.cursorPosition(), /selected/);
  });

  await context.test("a mark in the answer opens the source of its number", async () => {
    await lastTurn.locator("button.mark").first().click();
    assert.match(await workbench.cursorPosition(), /selected/);
  });

  await context.test("why these sources: every source has its score, the best first", async () => {
    await lastTurn.locator("details.why summary").click();
    const scores = (await lastTurn.locator("details.why .value").allTextContents()).map(Number);
    assert.ok(scores.length > 0 && scores.every((score) => score >= 0 && score <= 1), String(scores));
    assert.deepEqual(
      scores,
      scores.toSorted((a, b) => b - a),
    );
    assert.match((await lastTurn.locator("footer").textContent()) ?? "", /Index of \d+ files, up to date/);
  });

  await context.test("a mentioned file is the only one looked at", async () => {
    await box.pressSequentially("What does a late return cost? @fines.py");
    await panel.locator('.mentions [role="option"]', { hasText: "src/fines.py" }).first().waitFor();
    await box.press("Enter");
    await box.press("Enter");
    await panel.locator('article[data-state="done"]').nth(1).waitFor();
    const paths = await lastTurn.locator(".source .path").allTextContents();
    assert.ok(paths.length > 0 && paths.every((path) => path === "src/fines.py"), String(paths));
    assert.equal(await lastTurn.locator(".chip").textContent(), "@src/fines.py");
  });

  await context.test("a mentioned folder keeps the search inside it", async () => {
    await box.pressSequentially("How is a loan renewed? @src");
    await panel.locator('.mentions [role="option"]', { hasText: /^src/ }).first().waitFor();
    await box.press("Enter");
    await box.press("Enter");
    await panel.locator('article[data-state="done"]').nth(2).waitFor();
    const paths = await lastTurn.locator(".source .path").allTextContents();
    assert.ok(paths.length > 0 && paths.every((path) => path.startsWith("src/")), String(paths));
    assert.match((await lastTurn.locator(".chip").textContent()) ?? "", /^@src\/?$/);
  });

  await context.test("the text selected in the editor can be asked about", async () => {
    await workbench.openFile("members.py");
    await workbench.goTo(1, 1);
    await page.keyboard.press("Shift+ArrowDown");
    await page.keyboard.press("Shift+ArrowDown");
    await box.pressSequentially("What is this for? @selection");
    await panel.locator('.mentions [role="option"]', { hasText: "src/members.py:1-3" }).first().waitFor();
    await box.press("Enter");
    await box.press("Enter");
    await panel.locator('article[data-state="done"]').nth(3).waitFor();
    assert.equal(await lastTurn.locator(".chip").textContent(), "@src/members.py:1-3");
    const paths = await lastTurn.locator(".source .path").allTextContents();
    assert.ok(paths.length > 0 && paths.every((path) => path === "src/members.py"), String(paths));
  });

  await context.test("symbols of the folder are offered, whatever the language", async () => {
    await box.pressSequentially("@MemberReg");
    await panel.locator('.mentions [role="option"]', { hasText: "MemberRegister" }).first().waitFor();
    await box.fill("");
  });

  await context.test("what is not in the folder is not made up", async () => {
    await box.fill("How are satellites launched into orbit?");
    await box.press("Enter");
    await panel.locator('article[data-state="done"]').nth(4).waitFor();
    assert.match((await lastTurn.locator(".answer").textContent()) ?? "", /did not find this in library/);
    assert.equal(await lastTurn.locator(".source").count(), 0);
  });

  await context.test("the command asks in a box and answers in the panel", async () => {
    await workbench.command("Longsight: Ask about the Workspace...", true);
    await page.locator('.quick-input-widget input[placeholder="Where are loans renewed?"]').waitFor();
    await page.locator(".quick-input-widget input[type=text]").fill("who registers a new member?");
    await page.keyboard.press("Enter");
    await panel.locator('article[data-state="done"]').nth(5).waitFor();
    assert.match((await lastTurn.locator(".sources").textContent()) ?? "", /members\.py/);
  });

  await context.test("the conversation is there again after a reload, and a new one is empty", async () => {
    // The editor writes what extensions store a moment later.
    await page.waitForTimeout(2000);
    await workbench.reload();
    await workbench.openView("Longsight");
    await workbench.webview().locator("article.turn").nth(5).waitFor();
    await workbench.command("Longsight: New Conversation");
    await workbench.webview().locator(".empty").waitFor();
  });
}

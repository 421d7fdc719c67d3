/** Our model and our tool in the hands of an agent that another extension brings: called, answered, and answered with. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { packageRoot } from "../../../engine/paths.ts";
import { AGENT_TEMPLATE, scriptedChatModel } from "../../unit/scripted-chat-model.ts";
import type { Workbench } from "../workbench.ts";

const CALL = '{"name": "longsight_search", "arguments": {"question": "How often can a loan be renewed?"}}';

/** A model that calls the search, and answers when it has the result. */
export function agentModel(): string {
  const script = {
    "<|call|>": `<tool_call>\n${CALL}\n</tool_call>`,
    "<|answer|>": "As often as its limit allows.",
    "<|plain|>": "There was no tool to call.",
  };
  return scriptedChatModel(script, AGENT_TEMPLATE);
}

/** Packs the agent's extension into `folder`; the VSIX's path. */
export function packAgent(folder: string): string {
  const vsce = join(packageRoot, "node_modules", "@vscode", "vsce", "vsce");
  const out = join(folder, "agent.vsix");
  const args = [vsce, "package", "--no-dependencies", "--allow-missing-repository", "--skip-license", "--out", out];
  const cwd = fileURLToPath(new URL("../fixtures/agent", import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, args, { cwd, encoding: "utf8" });
  assert.equal(status, 0, stderr);
  return out;
}

export async function agent(context: TestContext, workbench: Workbench): Promise<void> {
  const { page } = workbench;
  await workbench.waitUntilIndexed();

  await context.test("the model calls longsight_search, which finds, and the model answers", async () => {
    await workbench.askInChat("@agent How often can a loan be renewed?");
    // The editor asks whether the agent may use another extension's model, and whether it may use the tool.
    const answer = page.locator(".interactive-response").last();
    const done = answer.locator("text=/As often as its limit allows/");
    const allow = page.getByRole("button", { name: /^Allow/ }).first();
    for (let tries = 0; tries < 60 && !(await done.isVisible()); tries++) {
      if (await allow.isVisible()) await allow.click();
      await page.waitForTimeout(250);
    }
    await done.waitFor();
    const text = (await answer.textContent()) ?? "";
    assert.match(text, /Calls longsight_search with \{"question":"How often can a loan be renewed\?"\}/);
    assert.match(text, /Found: src\/loans\.py:\d+-\d+/);
    assert.doesNotMatch(text, /tool_call|no tool/);
  });
  await context.test("in the chat's mode Agent the model is offered, and @longsight answers", async () => {
    await workbench.command("Chat: Open Chat (Agent)");
    const input = page.locator(".interactive-input-part");
    await input
      .locator(".action-label", { hasText: /^longsight-scripted/ })
      .first()
      .waitFor();
    await input.locator(".monaco-editor").first().click();
    await page.keyboard.type("@longsight How often can a loan be renewed?");
    await page.waitForTimeout(500);
    await page.keyboard.press("Escape");
    await page.keyboard.press("Enter");
    const answer = page.locator(".interactive-response").last();
    // Answers are written from the passages found, so that there is no tool for the model to call.
    await answer.locator("text=/There was no tool to call\\./").first().waitFor();
    await answer.locator("text=/loans\\.py:/").first().waitFor();
  });
}

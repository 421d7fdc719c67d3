/** Answers written by an OpenAI-compatible server, and what can be done with the code in them. The server is the test's own. */
import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import type { Workbench } from "../workbench.ts";

const CODE = "renewed_loan.renew()";
const ANSWER = [
  "Loans are renewed by ",
  "`renew` [1], never by ",
  "<b>hand</b> [99].\n\n```python\n",
  `${CODE}\n`,
  "```\n",
];

/** A server that always gives the same answer, and the questions it has got. */
export async function startServer(): Promise<{ server: Server; url: string; questions: string[] }> {
  const questions: string[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += chunk;
    });
    request.on("end", () => {
      questions.push(JSON.parse(body).messages.at(-1).content);
      for (const content of ANSWER)
        response.write(`data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`);
      response.end("data: [DONE]\n\n");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, questions };
}

export async function serverAnswers(context: TestContext, workbench: Workbench, questions: string[]): Promise<void> {
  const { page } = workbench;
  await workbench.waitUntilIndexed();
  await workbench.openFile("practice.py");
  await workbench.goTo(10, 5);
  await workbench.openView("Longsight");
  const panel = workbench.webview();
  await panel.locator("textarea").fill("How often can a loan be renewed?");
  await panel.locator("textarea").press("Enter");
  const turn = panel.locator('article[data-state="done"]');
  await turn.waitFor();

  await context.test("the server gets the question with the places found, and its text is shown as text", async () => {
    assert.match(questions[0], /src\/loans\.py, lines[\s\S]*Question: How often can a loan be renewed\?/);
    assert.equal(await turn.locator(".answer b").count(), 0);
    assert.match((await turn.locator(".answer").textContent()) ?? "", /never by <b>hand<\/b>/);
    assert.deepEqual(await turn.locator(".answer .mark").allTextContents(), ["1"]);
    assert.match((await turn.locator("footer").textContent()) ?? "", /my-model/);
  });

  await context.test("its code is inserted at the cursor", async () => {
    await turn.locator(".toolbar button").nth(1).click();
    await page.locator(".monaco-editor .view-line", { hasText: CODE }).first().waitFor();
  });

  await context.test("its code is compared with the editor's text, and applied", async () => {
    await page.locator(".monaco-editor .view-line", { hasText: CODE }).first().click();
    await page.keyboard.press("Control+Z");
    await turn.locator(".toolbar button").nth(2).click();
    await page.locator(".monaco-diff-editor").waitFor();
    await page.locator('.editor-actions a[aria-label*="Apply the Proposed Change"]').click();
    await page.locator(".monaco-diff-editor").waitFor({ state: "hidden" });
    assert.ok((await workbench.editorText()).includes(CODE));
  });
}

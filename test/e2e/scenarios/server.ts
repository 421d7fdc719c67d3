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

/** What the server has seen. */
interface Seen {
  readonly questions: string[];
  /** Answers whose reader went away before their end. */
  nAbandoned: number;
}

/** A server that always gives the same answer; one to a question about patience stops after its first words. */
export async function startServer(): Promise<{ server: Server; url: string; seen: Seen }> {
  const seen: Seen = { questions: [], nAbandoned: 0 };
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += chunk;
    });
    request.on("end", () => {
      const question: string = JSON.parse(body).messages.at(-1).content;
      seen.questions.push(question);
      const isSlow = question.includes("patience");
      for (const content of isSlow ? ANSWER.slice(0, 1) : ANSWER)
        response.write(`data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`);
      if (isSlow) response.on("close", () => seen.nAbandoned++);
      else response.end("data: [DONE]\n\n");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, seen };
}

export async function serverAnswers(context: TestContext, workbench: Workbench, seen: Seen): Promise<void> {
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
    assert.match(seen.questions[0], /src\/loans\.py, lines[\s\S]*Question: How often can a loan be renewed\?/);
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

  await context.test("an answer is given again in its place", async () => {
    const nAsked = seen.questions.length;
    await turn.locator('footer button[aria-label="Answer again"]').click();
    await expectSoon(() => seen.questions.length === nAsked + 1);
    await turn.waitFor();
    assert.equal(await panel.locator("article.turn").count(), 1);
    assert.equal(seen.questions[nAsked], seen.questions[nAsked - 1]);
  });

  await context.test("an answer that is stopped keeps what was written, and the server is left alone", async () => {
    await panel.locator("textarea").fill("How often can a loan be renewed with patience?");
    await panel.locator("textarea").press("Enter");
    const slow = panel.locator("article.turn").nth(1);
    await slow.locator(".answer", { hasText: "Loans are renewed by" }).waitFor();
    assert.equal(seen.nAbandoned, 0);
    await panel.locator('button[aria-label="Stop"]').click();
    await panel.locator('article[data-state="stopped"]').waitFor();
    assert.match((await slow.textContent()) ?? "", /Loans are renewed by[\s\S]*Stopped\./);
    await expectSoon(() => seen.nAbandoned === 1);
  });
}

async function expectSoon(isTrue: () => boolean): Promise<void> {
  for (let tries = 0; !isTrue(); tries++) {
    assert.ok(tries < 100, String(isTrue));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
